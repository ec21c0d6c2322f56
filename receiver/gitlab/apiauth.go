package gitlab

import (
	"fmt"
	"sync"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// tokenFile is the access token that a file holds. The file is read again when GitLab refuses what it held, so that a token
// can be replaced without a restart. It is safe for concurrent use.
type tokenFile struct {
	path string

	mu      sync.Mutex
	current leak.Secret
}

func openTokenFile(path string) (*tokenFile, error) {
	token, err := receiver.ReadToken(path)
	if err != nil {
		return nil, fmt.Errorf("reading api.token_file, which %w", err)
	}
	return &tokenFile{path: path, current: token}, nil
}

func (t *tokenFile) value() leak.Secret {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// renew is told that GitLab refuses a token, and reports whether there is another.
func (t *tokenFile) renew(refused leak.Secret) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.current.Equal(refused) {
		return true // somebody else has read it meanwhile
	}
	token, err := receiver.ReadToken(t.path)
	if err != nil || token.Equal(refused) {
		return false
	}
	t.current = token
	return true
}
