// Package gitlab is GitLab as a source, in three ways: the Token Revocation API, which a self-managed instance calls with the
// tokens that its secret detection found; the partner programme of gitlab.com, which reports the leaked tokens of one issuer
// in signed batches; and the secret detection of one group, whose hooks point to vulnerabilities and job reports that the
// collector fetches from the API.
package gitlab

import (
	"context"
	"fmt"
	"net/http"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

// sharedTokens are secrets that GitLab sends in plain text, in a field of the header; any of them will do. They prove who sent a
// delivery, and nothing about its body.
type sharedTokens struct {
	field string
	ours  []leak.Secret
}

// readTokens reads the token files in a field of the configuration.
func readTokens(field string, files []string) ([]leak.Secret, error) {
	tokens := make([]leak.Secret, len(files))
	for i, file := range files {
		var err error
		if tokens[i], err = secretfile.Token(file); err != nil {
			return nil, fmt.Errorf("reading %s[%d], which %w", field, i, err)
		}
	}
	return tokens, nil
}

// checkTokens reports each token file that cannot be read.
func checkTokens(field string, files []string, fault func(field, problem string)) {
	for i, file := range files {
		if _, err := secretfile.Token(file); err != nil {
			fault(fmt.Sprintf("%s[%d]", field, i), err.Error())
		}
	}
}

// once returns the value of a field that occurs exactly once: of two, nobody could say which one counts.
func once(header http.Header, field string) (string, error) {
	values := header.Values(field)
	if len(values) != 1 {
		return "", fmt.Errorf("%w: it has %d fields %s", receiver.ErrUnverified, len(values), field)
	}
	return values[0], nil
}

// Admit compares the token with each of ours, in constant time.
func (t sharedTokens) Admit(header http.Header) error {
	value, err := once(header, t.field)
	if err != nil {
		return err
	}
	given, good := leak.NewSecret(value), false
	for _, token := range t.ours {
		good = token.Equal(given) || good
	}
	if !good {
		return fmt.Errorf("%w: its token is not one of ours", receiver.ErrUnverified)
	}
	return nil
}

// Verify checks the token once more, and ignores the body.
func (t sharedTokens) Verify(_ context.Context, header http.Header, _ []byte) error {
	return t.Admit(header)
}
