package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

func TestDoctorStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.mkdir("data", 0o755)
	s.edit("embedded: {", "embedded: {max_bytes: 4096TiB, ")
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("store", "directory", leak.Doubt, "0755")
	d.want("store", "space", leak.Doubt, "max_bytes")
	s.edit("dir: data", "dir: stanch.yaml")
	d = s.doctor(t)
	d.wantOnly(leak.Broken, "store", "serve")
	d.want("store", "directory", leak.Broken, "not a directory")
}

// TestDoctorStoreInMemory needs a file system that forgets, which most machines have.
func TestDoctorStoreInMemory(t *testing.T) {
	t.Parallel()
	const tmpfs = 0x01021994
	var disk syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &disk); err != nil || int64(disk.Type) != tmpfs {
		t.Skip("there is none")
	}
	dir, err := os.MkdirTemp("/dev/shm", "stanch-test-*")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := newSite(t, ibmfake.Switches{}, "")
	s.edit("dir: data", "dir: "+dir)
	s.doctor(t).want("store", "disk", leak.Doubt, "memory")
}

func TestDoctorStoreOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.mkdir("data", 0o700)
	if os.Geteuid() != 0 {
		s.mkdir("data", 0)
		t.Cleanup(func() { s.mkdir("data", 0o700) })
		s.doctor(t).want("store", "directory", leak.Broken, "permission denied")
		return
	}
	if err := os.Chown(filepath.Join(s.dir, "data"), 12345, -1); err != nil {
		t.Skip(err)
	}
	s.doctor(t).want("store", "directory", leak.Doubt, "12345")
}

func (s *site) mkdir(name string, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
		s.t.Fatal(err)
	}
}

func TestDoctorKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.mkdir("data", 0o700)
	s.edit("keys_dir: keys", "keys_dir: data/keys")
	for _, dir := range []string{"data/keys", "others"} {
		if out, err := s.command("keygen", dir); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("keys", "place", leak.Doubt, "inside the store")
	d.want("keys", "keys", leak.Good, "open what is sealed")
	if err := os.Symlink("data/keys", filepath.Join(s.dir, "linked")); err != nil {
		t.Fatal(err)
	}
	s.edit("keys_dir: data/keys", "keys_dir: linked")
	s.doctor(t).want("keys", "place", leak.Doubt, "inside the store")
	recipient, other := filepath.Join(s.dir, "data/keys/sealing.recipient"), filepath.Join(s.dir, "others/sealing.recipient")
	if err := os.Chmod(recipient, 0o644); err != nil {
		t.Fatal(err)
	}
	s.doctor(t).want("keys", "keys", leak.Broken, "may be read by others")
	if err := os.Rename(other, recipient); err != nil {
		t.Fatal(err)
	}
	s.doctor(t).want("keys", "keys", leak.Broken, "not among our keys")
	if err := os.Remove(recipient); err != nil {
		t.Fatal(err)
	}
	s.doctor(t).want("keys", "keys", leak.Broken, "missing")
}
