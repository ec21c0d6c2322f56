package receiver

import (
	"context"
	"fmt"
	"net/http"
)

// Partner is how the partner programme of a vendor delivers: batches of records, signed with a key that the vendor
// publishes. The fields of its header name the key and hold the signature.
type Partner struct {
	KeyIDHeader     string
	SignatureHeader string
	Records         Fields
}

// Open makes a source of such deliveries. It asks nobody for anything: the source is a Starter, and fetches keys when it
// runs or when the first delivery comes. It is an Examiner as well. The error is that of NewPublicKeys.
func (p Partner) Open(c PublicKeysConfig) (Source, error) {
	keys, err := NewPublicKeys(c)
	if err != nil {
		return nil, err
	}
	return &partner{keys, p}, nil
}

// partner is a feed of a partner programme. It runs, is ready and is examined as its public keys are.
type partner struct {
	*PublicKeys
	form Partner
}

// Admit demands a key id and a signature that may be one.
func (p *partner) Admit(header http.Header) error {
	id, signature, err := p.form.proof(header)
	if err != nil {
		return err
	}
	return p.PublicKeys.Admit(id, signature)
}

// Verify checks the signature over the raw body.
func (p *partner) Verify(ctx context.Context, header http.Header, body []byte) error {
	id, signature, err := p.form.proof(header)
	if err != nil {
		return err
	}
	return p.PublicKeys.Verify(ctx, id, signature, body)
}

// Parse reads a JSON array of records.
func (p *partner) Parse(_ http.Header, body []byte) (Parsed, error) {
	return ParseRecords(body, p.form.Records)
}

// proof returns the key id and the signature. Each must be there once: of two, nobody could say which one counts.
func (p Partner) proof(header http.Header) (id, signature string, err error) {
	ids, signatures := header.Values(p.KeyIDHeader), header.Values(p.SignatureHeader)
	if len(ids) != 1 || len(signatures) != 1 {
		return "", "", fmt.Errorf("%w: it has %d key ids and %d signatures", ErrUnverified, len(ids), len(signatures))
	}
	return ids[0], signatures[0], nil
}
