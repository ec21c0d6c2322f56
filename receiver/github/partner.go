// Package github is GitHub as a source: the deliveries of its secret scanning partner programme, which reports the
// leaked tokens of one issuer from all public repositories, in batches signed with a key that GitHub publishes; and the
// secret scanning of one organisation, whose hooks point to alerts that the collector asks the API for.
package github

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// Header fields of a partner delivery, as GitHub's guide to the programme names them.
const (
	keyIDHeader     = "Github-Public-Key-Identifier"
	signatureHeader = "Github-Public-Key-Signature"
)

// partner is the source of type github_partner.
type partner struct {
	keys *receiver.PublicKeys
}

// Open makes the source with its configured name. It reads the token file, and asks nobody for anything: the returned
// source is a receiver.Runner, and fetches keys when it runs or when the first delivery comes.
func (c *PartnerConfig) Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error) {
	var token leak.Secret
	if c.KeysTokenFile != "" {
		var err error
		if token, err = readToken(c.KeysTokenFile); err != nil {
			return nil, fmt.Errorf("reading keys_token_file: %w", err)
		}
	}
	keys, err := receiver.NewPublicKeys(receiver.PublicKeysConfig{
		Source: name, URL: c.keysURL(), Token: token, Log: log, Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	return &partner{keys}, nil
}

// Run keeps the public keys fresh.
func (p *partner) Run(ctx context.Context) error { return p.keys.Run(ctx) }

// Ready is closed when there are public keys.
func (p *partner) Ready() <-chan struct{} { return p.keys.Ready() }

// Examine implements receiver.Examiner.
func (p *partner) Examine(ctx context.Context) []leak.Finding { return p.keys.Examine(ctx) }

// Admit demands a key id and a signature that may be one.
func (p *partner) Admit(header http.Header) error {
	id, signature, err := proof(header)
	if err != nil {
		return err
	}
	return p.keys.Admit(id, signature)
}

// Verify checks the signature over the raw body.
func (p *partner) Verify(ctx context.Context, header http.Header, body []byte) error {
	id, signature, err := proof(header)
	if err != nil {
		return err
	}
	return p.keys.Verify(ctx, id, signature, body)
}

// Parse reads a JSON array of {token, type, url, source}.
func (p *partner) Parse(_ http.Header, body []byte) (receiver.Parsed, error) { return parse(body) }

// proof returns the key id and the signature. Each must be there once: of two, nobody could say which one counts.
func proof(header http.Header) (id, signature string, err error) {
	ids, signatures := header.Values(keyIDHeader), header.Values(signatureHeader)
	if len(ids) != 1 || len(signatures) != 1 {
		return "", "", fmt.Errorf("%w: it has %d key ids and %d signatures", receiver.ErrUnverified, len(ids), len(signatures))
	}
	return ids[0], signatures[0], nil
}
