package seal_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/seal"
)

const planted = "planted-token-0123456789abcdef"

var received = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func content() leak.Content {
	return leak.Content{
		Secret: leak.NewSecret(planted), Type: "ibm_cloud_iam_key",
		URL: "https://example.com/planted/url", Place: "commit",
	}
}

func keys(t *testing.T) (dir string, r *seal.Recipient, ids *seal.Identities) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "keys")
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	return dir, recipient(t, dir), identities(t, dir)
}

func recipient(t *testing.T, dir string) *seal.Recipient {
	t.Helper()
	r, err := seal.LoadRecipient(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func identities(t *testing.T, dir string) *seal.Identities {
	t.Helper()
	ids, err := seal.LoadIdentities(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func sealed(t *testing.T, r *seal.Recipient, c leak.Content) leak.Alert {
	t.Helper()
	a, err := r.Seal("gh-partner", received, c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSealAndOpen(t *testing.T) {
	_, r, ids := keys(t)
	a := sealed(t, r, content())
	wire, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range []string{planted, "planted/url", "ibm_cloud_iam_key"} {
		if bytes.Contains(wire, []byte(clear)) || bytes.Contains(a.Sealed, []byte(clear)) {
			t.Errorf("the alert shows %q in clear", clear)
		}
	}
	var back leak.Alert
	if err := json.Unmarshal(wire, &back); err != nil {
		t.Fatal(err)
	}
	got, err := ids.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	if want := content(); !got.Secret.Equal(want.Secret) || got.URL != want.URL || got.Type != want.Type || got.Place != want.Place {
		t.Errorf("opened %+v, want %+v", got, want)
	}
}

func TestSealNamesReports(t *testing.T) {
	_, r, _ := keys(t)
	a, again := sealed(t, r, content()), sealed(t, r, content())
	if a.ID != again.ID || a.Fingerprint != again.Fingerprint {
		t.Error("the same report has two names")
	}
	if bytes.Equal(a.Sealed, again.Sealed) {
		t.Error("the same report is sealed to the same bytes")
	}
	elsewhere := content()
	elsewhere.URL += "/2"
	if b := sealed(t, r, elsewhere); b.ID == a.ID || b.Fingerprint != a.Fingerprint {
		t.Error("the same secret at another place must have another id and the same fingerprint")
	}
	_, other, _ := keys(t)
	if b := sealed(t, other, content()); b.Fingerprint == a.Fingerprint {
		t.Error("two fingerprint keys give the same fingerprint")
	}
	named := map[string]string{a.ID: "the report"}
	for name, change := range map[string]func(c *leak.Content){
		"another alert":           func(c *leak.Content) { c.Ref = "acme/app/1" },
		"a second alert":          func(c *leak.Content) { c.Ref = "acme/app/2" },
		"seen in public":          func(c *leak.Content) { c.Public = true },
		"in several repositories": func(c *leak.Content) { c.Several = true },
		"of another type":         func(c *leak.Content) { c.Type = "another" },
		"a shifted boundary":      func(c *leak.Content) { c.URL, c.Place = c.URL+c.Place[:1], c.Place[1:] },
	} {
		c := content()
		change(&c)
		b := sealed(t, r, c)
		if before, taken := named[b.ID]; taken {
			t.Errorf("%s has the name of %s", name, before)
		}
		named[b.ID] = name
	}
}

// TestFingerprint: it is HMAC-SHA256 of the secret under the key, because what is stored is found by it for ever.
func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	key := bytes.Repeat([]byte{7}, 32)
	swap(t, filepath.Join(dir, "fingerprint.key"), []byte("stanch-fingerprint-1:"+base64.StdEncoding.EncodeToString(key)+"\n"))
	fingerprints, err := seal.LoadFingerprintKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(planted))
	want := hex.EncodeToString(mac.Sum(nil))
	if got := fingerprints.Fingerprint(leak.NewSecret(planted)); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, r, ids := keys(t)
	_, _, strangers := keys(t)
	change := func(f func(*leak.Alert)) leak.Alert {
		a := sealed(t, r, content())
		f(&a)
		return a
	}
	for name, test := range map[string]struct {
		ids  *seal.Identities
		a    leak.Alert
		want error
	}{
		"other identities":      {strangers, sealed(t, r, content()), seal.ErrIdentity},
		"empty":                 {ids, leak.Alert{}, seal.ErrDamaged},
		"cut":                   {ids, change(func(a *leak.Alert) { a.Sealed = a.Sealed[:100] }), seal.ErrDamaged},
		"one bit":               {ids, change(func(a *leak.Alert) { a.Sealed[len(a.Sealed)-1] ^= 1 }), seal.ErrDamaged},
		"other version":         {ids, change(func(a *leak.Alert) { a.Sealed[0]++ }), seal.ErrDamaged},
		"another's fingerprint": {ids, change(func(a *leak.Alert) { a.Fingerprint = "00" }), seal.ErrDamaged},
	} {
		if _, err := test.ids.Open(test.a); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		} else if strings.Contains(err.Error(), planted) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

func TestRotate(t *testing.T) {
	dir, r, _ := keys(t)
	old := sealed(t, r, content())
	if err := seal.Rotate(dir); err != nil {
		t.Fatal(err)
	}
	fresh := sealed(t, recipient(t, dir), content())
	if bytes.Equal(old.Sealed[:9], fresh.Sealed[:9]) {
		t.Error("after a rotation alerts are still sealed to the key before it")
	}
	if old.Fingerprint != fresh.Fingerprint || old.ID != fresh.ID {
		t.Error("a rotation changed the names of secrets")
	}
	ids := identities(t, dir)
	for _, a := range []leak.Alert{old, fresh} {
		if _, err := ids.Open(a); err != nil {
			t.Error(err)
		}
	}
	if err := ids.Matches(recipient(t, dir)); err != nil {
		t.Error(err)
	}
	if err := ids.Matches(r); err != nil {
		t.Errorf("the identity before the rotation is gone: %v", err)
	}
}

func TestKeysAreNeverOverwritten(t *testing.T) {
	dir, r, _ := keys(t)
	if err := seal.Generate(dir); !errors.Is(err, seal.ErrKeysExist) {
		t.Fatalf("got %v, want ErrKeysExist", err)
	}
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	if a, b := sealed(t, r, content()), sealed(t, recipient(t, dir), content()); a.Fingerprint != b.Fingerprint {
		t.Error("Ensure made other keys")
	}
	path := filepath.Join(dir, "sealing.recipient")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := seal.Rotate(dir); err == nil {
		t.Error("a recipient that cannot be replaced is not told of")
	}
	if err := os.Remove(filepath.Join(dir, "fingerprint.key")); err != nil {
		t.Fatal(err)
	}
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.LoadRecipient(dir); err == nil || !strings.Contains(err.Error(), "fingerprint.key is missing") {
		t.Errorf("a missing fingerprint key: got %v", err)
	}
}

func TestKeyFilesAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"wider than 0600": {func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "fingerprint.key"), 0o640); err != nil {
				t.Fatal(err)
			}
		}, "mode 0640"},
		"another kind": {func(t *testing.T, dir string) {
			swap(t, filepath.Join(dir, "sealing.recipient"), []byte("stanch-identity-1:AAAA\n"))
		}, "no stanch-recipient-1 file"},
		"damaged": {func(t *testing.T, dir string) {
			swap(t, filepath.Join(dir, "sealing.recipient"), []byte("stanch-recipient-1:!!\n"))
		}, "damaged"},
		"short fingerprint key": {func(t *testing.T, dir string) {
			swap(t, filepath.Join(dir, "fingerprint.key"), []byte("stanch-fingerprint-1:AAAA\n"))
		}, "3 bytes instead of 32"},
		"no recipient": {func(t *testing.T, dir string) {
			swap(t, filepath.Join(dir, "sealing.recipient"), []byte("stanch-recipient-1:AAAA\n"))
		}, "holds no recipient"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := keys(t)
			test.spoil(t, dir)
			_, err := seal.LoadRecipient(dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func swap(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFilesModes(t *testing.T) {
	dir, _, _ := keys(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(paths) != 3 {
		t.Fatalf("got %v, %v; want three files", paths, err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
	}
}

// calendar keeps the keys of days in memory, as an honest store does.
type calendar struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (c *calendar) Load(_ context.Context, day string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sealed, ok := c.keys[day]; ok {
		return sealed, nil
	}
	return nil, seal.ErrForgotten
}

func (c *calendar) Make(_ context.Context, day string, sealed []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.keys[day]; !taken {
		c.keys[day] = sealed
	}
	return nil
}

func (c *calendar) Days(context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Keys(c.keys), func(a, b string) int { return strings.Compare(b, a) }), nil // in no order that helps
}

func (c *calendar) Forget(_ context.Context, day string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, day)
	return nil
}

// daysOf returns what makes processes that share keys and calendar.
func daysOf(t *testing.T) (open func() *seal.Days, kept *calendar) {
	t.Helper()
	_, r, ids := keys(t)
	kept = &calendar{keys: map[string][]byte{}}
	return func() *seal.Days { return seal.NewDays(r, ids, kept) }, kept
}

func TestDays(t *testing.T) {
	open, kept := daysOf(t)
	days, ctx := open(), t.Context()
	old, err := days.Seal(ctx, received.AddDate(0, 0, -31), []byte(planted), "a")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := days.Seal(ctx, received, []byte(planted), "a")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(fresh, []byte(planted)) {
		t.Error("encrypted in clear")
	}
	versioned := slices.Concat([]byte{fresh[0] + 1}, fresh[1:])
	if _, err := days.Open(ctx, versioned, "a"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("of another version: got %v, want ErrDamaged", err)
	}
	if _, err := days.Open(ctx, fresh, "b"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("opened in another context: %v", err)
	}
	for n := range fresh {
		if _, err := days.Open(ctx, fresh[:n], "a"); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("cut to %d bytes: got %v, want ErrDamaged", n, err)
		}
	}
	another, late := open(), open()
	if got, err := another.Open(ctx, old, "a"); err != nil || string(got) != planted {
		t.Errorf("another process opens %q, %v", got, err)
	}
	if n, err := days.Forget(ctx, received.AddDate(0, 0, -30)); err != nil || n != 1 {
		t.Errorf("forgot %d days, %v; want 1", n, err)
	}
	if n, err := another.Forget(ctx, received.AddDate(0, 0, -30)); err != nil || n != 0 {
		t.Errorf("the other process forgot %d days, %v; want none that was left", n, err)
	}
	for _, process := range []*seal.Days{days, another, late} {
		if _, err := process.Open(ctx, old, "a"); !errors.Is(err, seal.ErrForgotten) {
			t.Errorf("a forgotten day: got %v, want ErrForgotten", err)
		}
		if got, err := process.Open(ctx, fresh, "a"); err != nil || string(got) != planted {
			t.Errorf("a day that is not forgotten: %q, %v", got, err)
		}
	}
	if len(kept.keys) != 1 {
		t.Errorf("%d keys are kept, want that of one day", len(kept.keys))
	}
}

// TestDaysAreNotSwapped: the key of one day is not taken for that of another.
func TestDaysAreNotSwapped(t *testing.T) {
	open, kept := daysOf(t)
	if _, err := open().Seal(t.Context(), received, []byte(planted), "a"); err != nil {
		t.Fatal(err)
	}
	today := received.UTC().Format(time.DateOnly)
	tomorrow := received.AddDate(0, 0, 1)
	kept.keys[tomorrow.UTC().Format(time.DateOnly)] = kept.keys[today]
	if _, err := open().Seal(t.Context(), tomorrow, []byte(planted), "a"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestDaysMadeByManyAtOnce(t *testing.T) {
	open, _ := daysOf(t)
	var group sync.WaitGroup
	sealed := make([][]byte, 8)
	for i := range sealed {
		days := open()
		group.Go(func() {
			var err error
			if sealed[i], err = days.Seal(t.Context(), received, []byte(planted), "a"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	days := open()
	for _, s := range sealed {
		if _, err := days.Open(t.Context(), s, "a"); err != nil {
			t.Error(err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	if err := seal.Ensure(dir); err != nil {
		f.Fatal(err)
	}
	r, err := seal.LoadRecipient(dir)
	if err != nil {
		f.Fatal(err)
	}
	ids, err := seal.LoadIdentities(dir)
	if err != nil {
		f.Fatal(err)
	}
	a, err := r.Seal("s", received, content())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(a.Sealed), string(a.Fingerprint))
	f.Add([]byte{1}, "")
	f.Fuzz(func(t *testing.T, sealed []byte, fingerprint string) {
		got, err := ids.Open(leak.Alert{Fingerprint: leak.Fingerprint(fingerprint), Sealed: sealed})
		if err == nil && !got.Secret.Equal(content().Secret) {
			t.Error("opened something that was never sealed")
		}
	})
}
