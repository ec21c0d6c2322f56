package secretfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRead: what a file may hold, as one line and as a token, and what is said of one that is not fit.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	const line, token = "one line", "one line with a token"
	for name, row := range map[string]struct{ text, want, lineFault, tokenFault string }{
		"token":          {"planted\n", "planted", "", ""},
		"spaces around":  {" planted \r\n", "planted", "", ""},
		"spaces within":  {"planted secret", "planted secret", "", token},
		"not ASCII":      {"plantéd", "plantéd", "", token},
		"empty":          {" \n", "", "names an empty file", "names an empty file"},
		"two lines":      {"planted\nsecond", "", line, line},
		"control":        {"plan\x00ted", "", line, line},
		"as long":        {strings.Repeat("x", 4096), strings.Repeat("x", 4096), "", ""},
		"longer":         {strings.Repeat("x", 4097), "", "more than 4096 bytes", "more than 4096 bytes"},
		"long by spaces": {"planted" + strings.Repeat(" ", 4096), "", "more than 4096 bytes", "more than 4096 bytes"},
	} {
		path := filepath.Join(dir, name)
		write(t, path, row.text)
		checkSecret(t, name+" as a line", row.want, row.lineFault)(secretfile.Line(path))
		checkSecret(t, name+" as a token", row.want, row.tokenFault)(secretfile.Token(path))
	}
}

// checkSecret checks what was read: the secret, or an error that says what is wrong and nothing of the file.
func checkSecret(t *testing.T, name, want, fault string) func(leak.Secret, error) {
	t.Helper()
	return func(got leak.Secret, err error) {
		t.Helper()
		switch {
		case fault == "" && (err != nil || got.Reveal() != want):
			t.Errorf("%s: got %q and %v, want %q", name, got.Reveal(), err, want)
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "plant") || !got.Empty()):
			t.Errorf("%s: got %q and %v, want %q in the error and nothing of the file", name, got.Reveal(), err, fault)
		}
	}
}

// TestUnreadable: a file that cannot be read is said to be so without its path, which may be the secret.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"": "is missing", filepath.Join(dir, "absent"): "cannot be read: no such file or directory",
		dir: "cannot be read: is a directory", "a\x00b": "cannot be read: ",
	} {
		for name, read := range map[string]func(string) error{
			"Read":  func(path string) error { _, err := secretfile.Read(path, 10); return err },
			"Line":  func(path string) error { _, err := secretfile.Line(path); return err },
			"Token": func(path string) error { _, err := secretfile.Token(path); return err },
			"Open":  func(path string) error { _, err := secretfile.Open(path); return err },
		} {
			if err := read(path); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), dir) {
				t.Errorf("%s of %q: got %v, want %s", name, path, err, want)
			}
		}
	}
	if _, err := secretfile.Line("/dev/zero"); err == nil { // without an end
		t.Error("got no error for a file without an end")
	}
}

// TestRenew: a token that is refused makes room for another, as soon as the file has one.
func TestRenew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "first\n")
	file, err := secretfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		holds, refused string
		another        bool
		now            string
	}{
		{"first", "first", false, "first"},
		{"", "first", false, "first"},
		{"two words", "first", false, "first"},
		{"second", "first", true, "second"},
		{"third", "first", true, "second"}, // somebody else has renewed it: the second was not refused yet
		{"third", "second", true, "third"},
	} {
		write(t, path, step.holds)
		if got := file.Renew(leak.NewSecret(step.refused)); got != step.another || file.Token().Reveal() != step.now {
			t.Errorf("%q refused while the file holds %q: another: %v, now %q, want %v and %q",
				step.refused, step.holds, got, file.Token().Reveal(), step.another, step.now)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if file.Renew(leak.NewSecret("third")) {
		t.Error("got another token without a file")
	}
}

func TestSendable(t *testing.T) {
	for value, want := range map[string]bool{
		"token": true, "a~!b": true, "": false, " a": false, "a b": false, "a\tb": false, "a\nb": false, "é": false, "a\x7f": false,
	} {
		if got := secretfile.Sendable(value); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}
