package receiver

import (
	"sync"

	"stanch/receiver/leak"
)

// TokenFile is the access token to a vendor's API that a file holds. The file is read again when the vendor refuses what it
// held, so that a token can be replaced without a restart. It is safe for concurrent use.
type TokenFile struct {
	path string

	mu      sync.Mutex
	current leak.Secret
}

// OpenTokenFile reads a token file. Its error is worded like that of [ReadToken].
func OpenTokenFile(path string) (*TokenFile, error) {
	token, err := ReadToken(path)
	if err != nil {
		return nil, err
	}
	return &TokenFile{path: path, current: token}, nil
}

// Token is the token as it was read last.
func (t *TokenFile) Token() leak.Secret {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// Renew is told that the vendor refuses a token, and reports whether there is another.
func (t *TokenFile) Renew(refused leak.Secret) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.current.Equal(refused) {
		return true // somebody else has read it meanwhile
	}
	token, err := ReadToken(t.path)
	if err != nil || token.Equal(refused) {
		return false
	}
	t.current = token
	return true
}
