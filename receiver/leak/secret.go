package leak

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that a Secret ever shows of itself.
const redacted = "[secret]"

// errMarshal is the answer of a Secret to everything that would encode it.
var errMarshal = errors.New("a secret cannot be marshalled")

// Secret is a token's value. It prints as "[secret]" under every verb, refuses every encoding, and does not compare
// with ==. [Secret.Reveal] is the one way in, so that a search for "Reveal()" lists each line that touches a key in
// clear.
//
// The value sits in a closure: fmt ignores the methods of a Secret in an unexported field and prints what it holds by
// reflection, and of a func it can print the address only. The zero Secret is empty. It is safe for concurrent use.
type Secret struct {
	value func() string
}

// NewSecret wraps a token's value.
func NewSecret(value string) Secret {
	return Secret{value: func() string { return value }}
}

// Reveal returns the value in clear. Whoever calls it answers for where the value goes next.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return s.value()
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Equal reports whether two secrets are the same, in time that depends on their lengths only.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements [fmt.Formatter] for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses; encoding/json, encoding/xml and yaml ask it.
func (s Secret) MarshalText() ([]byte, error) { return nil, errMarshal }

// GobEncode refuses; encoding/gob asks it.
func (s Secret) GobEncode() ([]byte, error) { return nil, errMarshal }

// MarshalYAML refuses; yaml asks it before MarshalText.
func (s Secret) MarshalYAML() (any, error) { return nil, errMarshal }
