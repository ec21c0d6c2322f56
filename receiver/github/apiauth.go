package github

import (
	"context"
	"fmt"
	"sync"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// tokenFile is a credential: the personal access token that a file holds. The file is read again when GitHub refuses
// what it held, so that a token can be replaced without a restart.
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

func (t *tokenFile) token(context.Context, right) (leak.Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, nil
}

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
