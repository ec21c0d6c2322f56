// Package seal keeps secrets from everybody but the engine. A [Recipient] seals the content of an alert the moment it is
// known, to a public key, with HPKE (RFC 9180, ML-KEM-768 with X25519, HKDF-SHA256, AES-256-GCM). Only [Identities], which
// the engine alone holds, open it again. The package also makes fingerprints, the names of secrets, and [Days] encrypts what
// must be forgotten after a time.
package seal

import (
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"stanch/receiver/leak"
)

// Errors that callers decide on.
var (
	// ErrIdentity means that none of our identities is the one that something was sealed to.
	ErrIdentity = errors.New("sealed to an identity that is not among our keys")
	// ErrDamaged means that sealed content does not open: it was changed, or belongs to another fingerprint.
	ErrDamaged = errors.New("the sealed content does not open")
)

// version is the first byte of everything sealed; it is bound into the encryption as well.
const version = 1

// idSize is the length of the key id that follows the version, so that a reader knows which identity opens it.
const idSize = 8

func kem() hpke.KEM   { return hpke.MLKEM768X25519() }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// Recipient seals: it holds the public half of the sealing key, and the fingerprint key. It is safe for concurrent use.
type Recipient struct {
	public       hpke.PublicKey
	id           []byte
	fingerprints FingerprintKey
}

// Seal makes an alert of what a source reported at a time. The alert's id and fingerprint are the same each time the same
// report is sealed; the sealed bytes never are.
func (r *Recipient) Seal(source string, at time.Time, c leak.Content) (leak.Alert, error) {
	fingerprint := r.fingerprints.Fingerprint(c.Secret)
	sealed, err := r.sealContent(fingerprint, c)
	if err != nil {
		return leak.Alert{}, fmt.Errorf("sealing an alert: %w", err)
	}
	return leak.Alert{
		V:           leak.Version,
		ID:          r.fingerprints.sighting(fingerprint, source, c),
		Source:      source,
		Fingerprint: fingerprint,
		Sealed:      sealed,
		ReceivedAt:  at,
	}, nil
}

func (r *Recipient) sealContent(f leak.Fingerprint, c leak.Content) (leak.Sealed, error) {
	plain, err := json.Marshal(content{[]byte(c.Secret.Reveal()), c.Type, c.URL, c.Place, c.Ref, c.Marks})
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return r.seal(plain, info("seal", string(f)))
}

// seal is the version, the id of the key that it is sealed to, and the ciphertext.
func (r *Recipient) seal(plain, info []byte) ([]byte, error) {
	ciphertext, err := hpke.Seal(r.public, kdf(), aead(), info, plain)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte{version}, r.id, ciphertext), nil
}

// Identities open what was sealed to any of them: the current one and those from before a rotation. They are safe for
// concurrent use.
type Identities struct {
	private map[string]hpke.PrivateKey // by key id
}

// Open returns the content of an alert, or ErrIdentity or ErrDamaged. Its errors never hold any of the content.
func (ids *Identities) Open(a leak.Alert) (leak.Content, error) {
	plain, err := ids.open(a.Sealed, info("seal", string(a.Fingerprint)))
	if err != nil {
		return leak.Content{}, fmt.Errorf("opening an alert: %w", err)
	}
	defer clear(plain)
	var c content
	if json.Unmarshal(plain, &c) != nil {
		return leak.Content{}, fmt.Errorf("opening an alert: %w", ErrDamaged)
	}
	return leak.Content{
		Secret: leak.NewSecret(string(c.Secret)), Type: c.Type, URL: c.URL, Place: c.Place, Ref: c.Ref, Marks: c.Marks,
	}, nil
}

// open returns what was sealed with that info, or ErrIdentity or ErrDamaged.
func (ids *Identities) open(sealed, info []byte) ([]byte, error) {
	if len(sealed) < 1+idSize || sealed[0] != version {
		return nil, ErrDamaged
	}
	id, ciphertext := sealed[1:1+idSize], sealed[1+idSize:]
	private, ok := ids.private[string(id)]
	if !ok {
		return nil, fmt.Errorf("key %x: %w", id, ErrIdentity)
	}
	plain, err := hpke.Open(private, kdf(), aead(), info, ciphertext)
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// content is leak.Content as it is encoded for sealing. The secret is bytes, because a dead letter need not be text.
type content struct {
	Secret []byte `json:"secret"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Place  string `json:"place"`
	Ref    string `json:"ref,omitempty"`
	leak.Marks
}

// info binds the format version, the kind of content and its fingerprint, so that sealed content cannot be moved to another
// incident.
func info(what, whose string) []byte {
	return slices.Concat([]byte("stanch "+what), []byte{version}, []byte(whose))
}

func keyID(public hpke.PublicKey) []byte {
	sum := sha256.Sum256(public.Bytes())
	return sum[:idSize]
}

// FingerprintKey is the local key under which secrets get their names. Whoever has it can check a guess at a secret against
// a fingerprint, so guard it like the other keys.
type FingerprintKey struct {
	key []byte
}

// Fingerprint names a secret.
func (k FingerprintKey) Fingerprint(s leak.Secret) leak.Fingerprint {
	return leak.Fingerprint(hex.EncodeToString(k.mac(s.Reveal())))
}

// ID names the key itself, so that a store can tell whether it was made with it. It reveals nothing about the key.
func (k FingerprintKey) ID() string { return hex.EncodeToString(k.mac("\x00stanch key id")[:idSize]) }

// sighting names one report of one secret at one place. It is keyed, so that it can outlive the place that it stands for
// without giving it away. Two alerts of a source are two reports, even of one place. That the key is seen in public, or in
// several repositories, makes it another report too, because that may raise the action. Nothing else does, because our own
// changes at the source come back as reports of it.
func (k FingerprintKey) sighting(f leak.Fingerprint, source string, c leak.Content) string {
	parts := []string{"\x00stanch sighting", string(f), source, c.Type, c.URL, c.Place}
	if c.Ref != "" {
		parts = append(parts, c.Ref)
	}
	if c.Public || c.Several {
		parts = append(parts, fmt.Sprint(c.Public, c.Several))
	}
	return hex.EncodeToString(k.mac(parts...)[:16])
}

func (k FingerprintKey) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, k.key)
	for i, part := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
