package seal_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"stanch/receiver/seal"
)

// nobody is a user and a group without any right of root's.
const nobody = 65532

// TestKeysOfRoot reads keys as a process that is not root, to which root hands them by its group, as Kubernetes does: they are
// right, unless the group may write them or others may read them.
func TestKeysOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for _, row := range []struct {
		owner int
		mode  os.FileMode
		want  string
	}{
		{0, 0o440, ""},
		{0, 0o640, ""},
		{0, 0o660, "mode 0660"},
		{0, 0o444, "mode 0444"},
		{nobody, 0o600, ""},
		{nobody, 0o640, "mode 0640"}, // its own, which it can narrow
	} {
		mode, want := row.mode, row.want
		dir, _, _ := keys(t)
		for _, name := range []string{"fingerprint.key", "sealing.recipient"} {
			path := filepath.Join(dir, name)
			if err := os.Chown(path, row.owner, nobody); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		open := filepath.Join(openToAll(t), "keys")
		if err := os.Rename(dir, open); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
		err := asNobody(t, func() error {
			_, err := seal.LoadRecipient(open)
			return err
		})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("mode %04o: got %v, want %q", mode, err, want)
		}
	}
}

// openToAll is a temporary directory that everybody may look into.
func openToAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "keys-of-root-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asNobody calls f on a thread of its own that has another user's rights. The thread ends with it.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		for _, call := range []uintptr{syscall.SYS_SETRESGID, syscall.SYS_SETRESUID} {
			if _, _, failure := syscall.RawSyscall(call, nobody, nobody, nobody); failure != 0 {
				result <- failure
				return
			}
		}
		result <- f()
	}()
	return <-result
}
