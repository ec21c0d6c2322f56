package secretfile

import (
	"sync"

	"stanch/receiver/leak"
)

// File is the access token that a file holds. The file is read again when the far side refuses what it held, so that a token
// can be replaced without a restart. It is safe for concurrent use.
type File struct {
	path string

	mu      sync.Mutex
	current leak.Secret
}

// Open reads a token file, as [Token] does.
func Open(path string) (*File, error) {
	token, err := Token(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, current: token}, nil
}

// Token is the token as it was read last.
func (f *File) Token() leak.Secret {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// Renew is told that a token was refused, and reports whether there is another: the file is read again, unless somebody else
// has read it meanwhile.
func (f *File) Renew(refused leak.Secret) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.current.Equal(refused) {
		return true
	}
	token, err := Token(f.path)
	if err != nil || token.Equal(refused) {
		return false
	}
	f.current = token
	return true
}
