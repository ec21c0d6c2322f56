package github

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/leak"
)

// Header fields of a hook's delivery, as GitHub's guide to webhooks names them. X-Hub-Signature, with SHA-1, is ignored.
const (
	hookSignatureHeader = "X-Hub-Signature-256"
	hookEventHeader     = "X-GitHub-Event"
)

// hook is the source of type github_webhook.
type hook struct {
	secrets      []leak.Secret
	organization string
}

// Open makes the source. It reads the files with the secrets, and makes no call.
func (c *HookConfig) Open(string, *slog.Logger, prometheus.Registerer) (receiver.Source, error) {
	secrets := make([]leak.Secret, len(c.SecretFiles))
	for i, file := range c.SecretFiles {
		var err error
		if secrets[i], err = readHookSecret(file); err != nil {
			return nil, fmt.Errorf("reading secret_files[%d]: %w", i, err)
		}
	}
	return &hook{secrets, c.Organization}, nil
}

// OpenVendor makes the vendor that the source's collector asks, as githubapi.Open does.
func (c *HookConfig) OpenVendor(name string, log *slog.Logger) (collect.Vendor, error) {
	return githubapi.Open(c.API, name, c.Organization, log)
}

// Admit demands a well-formed signature.
func (h *hook) Admit(header http.Header) error {
	_, err := hookSignature(header)
	return err
}

// Verify checks the signature over the raw body. It tries every secret, in constant time.
func (h *hook) Verify(_ context.Context, header http.Header, body []byte) error {
	signature, err := hookSignature(header)
	if err != nil {
		return err
	}
	good := 0
	for _, secret := range h.secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(body)
		good |= subtle.ConstantTimeCompare(mac.Sum(nil), signature)
	}
	if good != 1 {
		return fmt.Errorf("%w: none of our secrets signed it", receiver.ErrUnverified)
	}
	return nil
}

// Parse reads one event. The header is not signed, so the name of the event in it is only a hint.
func (h *hook) Parse(header http.Header, body []byte) (receiver.Parsed, error) {
	return parseHook(h.organization, header.Get(hookEventHeader), body)
}

// MediaTypes implements receiver.MediaTyper: a hook can be set up to send forms.
func (h *hook) MediaTypes() []string { return []string{"application/x-www-form-urlencoded"} }

// hookSignature reads the signature, which must occur exactly once: of two, nobody could say which one counts.
func hookSignature(header http.Header) ([]byte, error) {
	values := header.Values(hookSignatureHeader)
	if len(values) != 1 {
		return nil, fmt.Errorf("%w: it has %d signatures with SHA-256", receiver.ErrUnverified, len(values))
	}
	text, ok := strings.CutPrefix(values[0], "sha256=")
	signature, err := hex.DecodeString(text)
	if !ok || err != nil || len(signature) != sha256.Size {
		return nil, fmt.Errorf("%w: its signature is not sha256= and 64 hexadecimal digits", receiver.ErrUnverified)
	}
	return signature, nil
}
