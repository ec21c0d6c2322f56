package batch

import (
	"context"
	"fmt"
	"net/http"

	"stanch/receiver"
	"stanch/receiver/publickeys"
)

// Programme describes the partner programme of a vendor: batches of records, signed with a key that the vendor
// publishes. Two header fields name that key and hold the signature.
type Programme struct {
	KeyIDHeader     string
	SignatureHeader string
	Records         Fields
}

// Open makes the source of such deliveries. It makes no request. The error is that of [publickeys.New].
func (p Programme) Open(c publickeys.Config) (*Signed, error) {
	keys, err := publickeys.New(c)
	if err != nil {
		return nil, err
	}
	return &Signed{keys, p}, nil
}

// Signed is the feed of a partner programme: a receiver.Source, receiver.Starter and receiver.Examiner. It fetches the
// public keys when it runs, or when the first delivery arrives. It is safe for concurrent use.
type Signed struct {
	*publickeys.Cache
	programme Programme
}

// Admit demands a key id and a well-formed signature.
func (s *Signed) Admit(header http.Header) error {
	id, signature, err := s.programme.proof(header)
	if err != nil {
		return err
	}
	return s.Cache.Admit(id, signature)
}

// Verify checks the signature over the raw body.
func (s *Signed) Verify(ctx context.Context, header http.Header, body []byte) error {
	id, signature, err := s.programme.proof(header)
	if err != nil {
		return err
	}
	return s.Cache.Verify(ctx, id, signature, body)
}

// Parse reads a JSON array of records.
func (s *Signed) Parse(_ http.Header, body []byte) (receiver.Parsed, error) {
	return s.programme.Records.Parse(body)
}

// proof returns the key id and the signature. Each must occur exactly once: of two, nobody could say which one counts.
func (p Programme) proof(header http.Header) (id, signature string, err error) {
	ids, signatures := header.Values(p.KeyIDHeader), header.Values(p.SignatureHeader)
	if len(ids) != 1 || len(signatures) != 1 {
		return "", "", fmt.Errorf("%w: it has %d key ids and %d signatures", receiver.ErrUnverified, len(ids), len(signatures))
	}
	return ids[0], signatures[0], nil
}
