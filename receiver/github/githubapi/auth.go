package githubapi

import (
	"context"
	"fmt"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

// tokenFile is a credential: the personal access token that a file holds.
type tokenFile struct{ file *secretfile.File }

func openTokenFile(path string) (tokenFile, error) {
	file, err := secretfile.Open(path)
	if err != nil {
		return tokenFile{}, fmt.Errorf("reading api.token_file, which %w", err)
	}
	return tokenFile{file}, nil
}

func (t tokenFile) token(context.Context, right) (leak.Secret, error) { return t.file.Token(), nil }

func (t tokenFile) renew(refused leak.Secret) bool { return t.file.Renew(refused) }
