package seal

import (
	"crypto/hpke"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The files of a keys directory. Each is one line "<kind>:<base64>" with mode 0600, or 0640 where root owns it and we are not
// root. A receiver needs only the recipient file and the fingerprint key; the identity files are the engine's.
const (
	fingerprintFile = "fingerprint.key"
	recipientFile   = "sealing.recipient"
	identityPattern = "sealing-*.identity"

	fingerprintKind = "stanch-fingerprint-1"
	recipientKind   = "stanch-recipient-1"
	identityKind    = "stanch-identity-1"
)

// fingerprintSize is the length of the fingerprint key, in bytes.
const fingerprintSize = 32

// ErrKeysExist means that a directory already holds keys; they are never overwritten.
var ErrKeysExist = errors.New("the directory already holds keys")

// Ensure makes the keys in dir if it holds none at all. It leaves a directory that holds only some of them as it is: the load
// that follows fails and says what is missing.
func Ensure(dir string) error {
	err := Generate(dir)
	if errors.Is(err, ErrKeysExist) {
		return nil
	}
	return err
}

// Generate makes a sealing identity, its recipient and a fingerprint key in dir, which it creates (0700) if necessary. If dir
// holds a key, it writes nothing and returns ErrKeysExist.
func Generate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the keys directory: %w", err)
	}
	found, err := keyFiles(dir)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("making keys in %s: %w", dir, ErrKeysExist)
	}
	key := make([]byte, fingerprintSize)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	if err := writeKey(filepath.Join(dir, fingerprintFile), fingerprintKind, key); err != nil {
		return err
	}
	return Rotate(dir)
}

// Rotate makes a new sealing identity in dir. From the next start on, everything is sealed to it. The earlier identities stay,
// because they open what was sealed to them.
func Rotate(dir string) error {
	private, err := kem().GenerateKey()
	if err != nil {
		return fmt.Errorf("making a sealing identity: %w", err)
	}
	secret, err := private.Bytes()
	if err != nil {
		return fmt.Errorf("making a sealing identity: %w", err)
	}
	name := "sealing-" + hex.EncodeToString(keyID(private.PublicKey())) + ".identity"
	if err := writeKey(filepath.Join(dir, name), identityKind, secret); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, recipientFile), recipientKind, private.PublicKey().Bytes())
}

// LoadFingerprintKey reads the fingerprint key in dir.
func LoadFingerprintKey(dir string) (FingerprintKey, error) {
	key, err := readKey(filepath.Join(dir, fingerprintFile), fingerprintKind)
	if err != nil {
		return FingerprintKey{}, err
	}
	if len(key) != fingerprintSize {
		return FingerprintKey{}, fmt.Errorf("reading %s: the key has %d bytes instead of %d",
			filepath.Join(dir, fingerprintFile), len(key), fingerprintSize)
	}
	return FingerprintKey{key}, nil
}

// LoadRecipient reads the recipient and the fingerprint key in dir.
func LoadRecipient(dir string) (*Recipient, error) {
	fingerprints, err := LoadFingerprintKey(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, recipientFile)
	raw, err := readKey(path, recipientKind)
	if err != nil {
		return nil, err
	}
	public, err := kem().NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("reading %s: it holds no recipient", path)
	}
	return &Recipient{public: public, id: keyID(public), fingerprints: fingerprints}, nil
}

// LoadIdentities reads all identities in dir. There must be at least one.
func LoadIdentities(dir string) (*Identities, error) {
	paths, err := filepath.Glob(filepath.Join(escape(dir), identityPattern))
	if err != nil {
		return nil, fmt.Errorf("listing identities: %w", err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("reading the keys in %s: there is no sealing identity: restore it, or remove the other keys if nothing was ever stored", dir)
	}
	ids := &Identities{private: map[string]hpke.PrivateKey{}}
	for _, path := range paths {
		raw, err := readKey(path, identityKind)
		if err != nil {
			return nil, err
		}
		private, err := kem().NewPrivateKey(raw)
		if err != nil {
			return nil, fmt.Errorf("reading %s: it holds no identity", path)
		}
		ids.private[string(keyID(private.PublicKey()))] = private
	}
	return ids, nil
}

// Matches reports whether ids can open what r seals.
func (ids *Identities) Matches(r *Recipient) error {
	if _, ok := ids.private[string(r.id)]; !ok {
		return fmt.Errorf("checking that sealing key %x can be opened: %w", r.id, ErrIdentity)
	}
	return nil
}

func keyFiles(dir string) ([]string, error) {
	var found []string
	for _, pattern := range []string{fingerprintFile, recipientFile, identityPattern} {
		paths, err := filepath.Glob(filepath.Join(escape(dir), pattern))
		if err != nil {
			return nil, fmt.Errorf("listing keys: %w", err)
		}
		found = append(found, paths...)
	}
	return found, nil
}

// escape keeps a directory's name from being read as a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// writeKey puts a key on disk whole or not at all.
func writeKey(path, kind string, key []byte) error {
	if err := writeFile(path, []byte(kind+":"+base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	return nil
}

func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readKey reads a key file. Its errors hold none of the content.
func readKey(path, kind string) ([]byte, error) {
	if err := checkMode(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(data)), kind+":")
	if !ok {
		return nil, fmt.Errorf("reading %s: it is no %s file", path, kind)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: it is damaged", path)
	}
	return key, nil
}

func checkMode(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading key: %s is missing: restore it, or remove the other keys if nothing was ever stored", path)
	}
	if err != nil {
		return fmt.Errorf("reading key: %w", err)
	}
	if info.Mode().Perm()&^allowed(info) != 0 {
		return fmt.Errorf("reading key: %s has mode %04o and may be read by others: chmod 600 it", path, info.Mode().Perm())
	}
	return nil
}

// allowed is the widest mode of a key file. A group may read one that root owns: Kubernetes and systemd pass secrets to a
// process that is not root in this way, and the user of that process cannot widen the mode.
func allowed(info fs.FileInfo) fs.FileMode {
	if owner, known := info.Sys().(*syscall.Stat_t); known && owner.Uid == 0 && os.Geteuid() != 0 {
		return 0o740
	}
	return 0o700
}
