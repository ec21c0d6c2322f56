package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrForgotten means that the key of a day is gone, and what it encrypted with it.
var ErrForgotten = errors.New("forgotten")

const (
	dayKind   = "stanch-day-1"
	dayFormat = time.DateOnly
	dayFile   = ".day"
)

// Days encrypts what must be forgotten (AES-256-GCM, random nonce): each day, in UTC, has a key of its own, in a file
// of its own, and to delete that file is to forget the day, wherever copies of the ciphertext still lie. It is safe for
// concurrent use, also by several processes on one directory.
type Days struct {
	dir string

	mu   sync.Mutex
	keys map[string]cipher.AEAD
}

// OpenDays keeps its keys below a keys directory, which must exist.
func OpenDays(keysDir string) (*Days, error) {
	dir := filepath.Join(keysDir, "days")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the day keys' directory: %w", err)
	}
	return &Days{dir: dir, keys: map[string]cipher.AEAD{}}, nil
}

// Seal encrypts under the key of the day that at falls on. The context must be given again to open it.
func (d *Days) Seal(at time.Time, plain []byte, context string) ([]byte, error) {
	day := at.UTC().Format(dayFormat)
	key, err := d.key(day, true)
	if err != nil {
		return nil, fmt.Errorf("encrypting under the key of a day: %w", err)
	}
	nonce := make([]byte, key.NonceSize())
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	out := append([]byte{version}, day...)
	return key.Seal(append(out, nonce...), nonce, plain, []byte(context)), nil
}

// Open decrypts what Seal returned. It returns ErrForgotten when the day's key is gone.
func (d *Days) Open(sealed []byte, context string) ([]byte, error) {
	const head = 1 + len(dayFormat)
	if len(sealed) < head || sealed[0] != version {
		return nil, ErrDamaged
	}
	day := string(sealed[1:head])
	if _, err := time.Parse(dayFormat, day); err != nil {
		return nil, ErrDamaged
	}
	key, err := d.key(day, false)
	if err != nil {
		return nil, fmt.Errorf("decrypting under the key of a day: %w", err)
	}
	if len(sealed) < head+key.NonceSize() {
		return nil, ErrDamaged
	}
	nonce, ciphertext := sealed[head:head+key.NonceSize()], sealed[head+key.NonceSize():]
	plain, err := key.Open(nil, nonce, ciphertext, []byte(context))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// Forget deletes the keys of the days that began before a time. It returns how many they were.
func (d *Days) Forget(before time.Time) (int, error) {
	paths, err := filepath.Glob(filepath.Join(escape(d.dir), "*"+dayFile))
	if err != nil {
		return 0, fmt.Errorf("listing day keys: %w", err)
	}
	forgotten := 0
	for _, path := range paths {
		day := strings.TrimSuffix(filepath.Base(path), dayFile)
		begin, err := time.Parse(dayFormat, day)
		if err != nil || !begin.Before(before) {
			continue
		}
		if err := d.forget(day); err != nil {
			return forgotten, err
		}
		forgotten++
	}
	return forgotten, syncDir(d.dir)
}

func (d *Days) forget(day string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, day)
	if err := os.Remove(d.path(day)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting %s: %w", day, err)
	}
	return nil
}

func (d *Days) path(day string) string { return filepath.Join(d.dir, day+dayFile) }

func (d *Days) key(day string, create bool) (cipher.AEAD, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key, ok := d.keys[day]; ok {
		return key, nil
	}
	raw, err := d.load(day, create)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("reading %s: it holds no key", d.path(day))
	}
	key, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	d.keys[day] = key
	return key, nil
}

// load reads the key of a day, and makes it first if it may. Of several processes that make it one wins.
func (d *Days) load(day string, create bool) ([]byte, error) {
	path := d.path(day)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, ErrForgotten
		}
		if err := d.make(path); err != nil {
			return nil, err
		}
	}
	return readKey(path, dayKind)
}

func (d *Days) make(path string) error {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	draft := filepath.Join(d.dir, ".draft-"+rand.Text())
	if err := writeKey(draft, dayKind, raw); err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft) }()
	if err := os.Link(draft, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the key of a day: %w", err)
	}
	return syncDir(d.dir)
}
