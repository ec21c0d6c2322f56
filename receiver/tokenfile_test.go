package receiver_test

import (
	"os"
	"path/filepath"
	"testing"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// TestTokenFile: a token that is refused makes room for another, as soon as the file has one.
func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	file, err := receiver.OpenTokenFile(path)
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
		write(step.holds)
		if got := file.Renew(leak.NewSecret(step.refused)); got != step.another || file.Token().Reveal() != step.now {
			t.Errorf("%q refused while the file holds %q: another: %v, now %q, want %v and %q",
				step.refused, step.holds, got, file.Token().Reveal(), step.another, step.now)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := receiver.OpenTokenFile(path); err == nil {
		t.Error("got no error without a file")
	}
	if file.Renew(leak.NewSecret("third")) {
		t.Error("got another token without a file")
	}
}
