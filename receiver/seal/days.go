package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// ErrForgotten means that the key of a day is gone, and what it encrypted with it.
var ErrForgotten = errors.New("forgotten")

const (
	dayFormat = time.DateOnly
	daySize   = 32 // of the key of a day, in bytes
)

// DayKeys keeps the keys of days, sealed, by date, such as 2026-11-21. Methods are safe for concurrent use, also by several
// processes.
type DayKeys interface {
	// Load returns the key of a day, or ErrForgotten when there is none.
	Load(ctx context.Context, day string) ([]byte, error)
	// Make keeps a key for a day that has none. Afterwards the day has one in any case, and Load returns it.
	Make(ctx context.Context, day string, sealed []byte) error
	// Days lists the days that have a key.
	Days(ctx context.Context) ([]string, error)
	// Forget destroys the key of a day. That there is none is no error.
	Forget(ctx context.Context, day string) error
}

// Days encrypts what must be forgotten (AES-256-GCM, random nonce). Each day, in UTC, has its own key, sealed to the engine's
// identity. Destroying that key forgets the day, wherever copies of the ciphertext may be. It is safe for concurrent use, also
// by several processes on the same keys.
type Days struct {
	recipient  *Recipient
	identities *Identities
	kept       DayKeys

	mu   sync.Mutex
	keys map[string]cipher.AEAD
}

// NewDays returns Days that seal the keys which they make to a recipient, and open them with identities.
func NewDays(recipient *Recipient, identities *Identities, kept DayKeys) *Days {
	return &Days{recipient: recipient, identities: identities, kept: kept, keys: map[string]cipher.AEAD{}}
}

// Seal encrypts under the key of the day that at falls on. The context must be given again to open it.
func (d *Days) Seal(ctx context.Context, at time.Time, plain []byte, context string) ([]byte, error) {
	day := at.UTC().Format(dayFormat)
	key, err := d.key(ctx, day, true)
	if err != nil {
		return nil, fmt.Errorf("encrypting under the key of a day: %w", err)
	}
	nonce := make([]byte, key.NonceSize())
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	out := append([]byte{version}, day...)
	return key.Seal(append(out, nonce...), nonce, plain, []byte(context)), nil
}

// Open decrypts what Seal returned. It returns ErrForgotten when the day's key is gone.
func (d *Days) Open(ctx context.Context, sealed []byte, context string) ([]byte, error) {
	const head = 1 + len(dayFormat)
	if len(sealed) < head || sealed[0] != version {
		return nil, ErrDamaged
	}
	day := string(sealed[1:head])
	if _, err := time.Parse(dayFormat, day); err != nil {
		return nil, ErrDamaged
	}
	key, err := d.key(ctx, day, false)
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

// Forget destroys the keys of the days that began before a time, and returns how many. It also drops the keys that another
// process has destroyed.
func (d *Days) Forget(ctx context.Context, before time.Time) (int, error) {
	d.drop(before)
	days, err := d.kept.Days(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing the keys of days: %w", err)
	}
	forgotten := 0
	for _, day := range days {
		if !begunBefore(day, before) {
			continue
		}
		if err := d.kept.Forget(ctx, day); err != nil {
			return forgotten, fmt.Errorf("forgetting %s: %w", day, err)
		}
		forgotten++
	}
	return forgotten, nil
}

// drop drops the keys that this process holds open.
func (d *Days) drop(before time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.keys, func(day string, _ cipher.AEAD) bool { return begunBefore(day, before) })
}

func begunBefore(day string, before time.Time) bool {
	begin, err := time.Parse(dayFormat, day)
	return err == nil && begin.Before(before)
}

// key does not hold the lock while it asks: opening a key twice costs little.
func (d *Days) key(ctx context.Context, day string, create bool) (cipher.AEAD, error) {
	if key := d.open(day); key != nil {
		return key, nil
	}
	raw, err := d.load(ctx, day, create)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, ErrDamaged
	}
	key, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys[day] = key
	return key, nil
}

// open is a key that this process holds open; nil: it does not.
func (d *Days) open(day string) cipher.AEAD {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[day]
}

// load reads the key of a day, and makes it first if it may. When several processes make it, one of them wins.
func (d *Days) load(ctx context.Context, day string, create bool) ([]byte, error) {
	sealed, err := d.kept.Load(ctx, day)
	if create && errors.Is(err, ErrForgotten) {
		if err := d.make(ctx, day); err != nil {
			return nil, err
		}
		sealed, err = d.kept.Load(ctx, day)
	}
	if err != nil {
		return nil, err
	}
	return d.identities.open(sealed, dayInfo(day))
}

func (d *Days) make(ctx context.Context, day string) error {
	raw := make([]byte, daySize)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	sealed, err := d.recipient.seal(raw, dayInfo(day))
	if err != nil {
		return err
	}
	return d.kept.Make(ctx, day, sealed)
}

// dayInfo binds the format version and the day, so that the key of one day cannot pass for that of another.
func dayInfo(day string) []byte { return info("day", day) }
