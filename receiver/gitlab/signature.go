package gitlab

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

// Header fields of a signed delivery, as Standard Webhooks name them; GitLab has them since version 19.0.
const (
	idHeader        = "Webhook-Id"
	timestampHeader = "Webhook-Timestamp"
	signatureHeader = "Webhook-Signature"
)

// tolerance is how far the time of a delivery may be from ours, either way, as Standard Webhooks recommend.
const tolerance = 5 * time.Minute

// maxID is the longest id of a delivery, in bytes. GitLab's have 36.
const maxID = 256

// signing proves deliveries by their signatures, and refuses one that was taken before.
type signing struct {
	keys []leak.Secret // as bytes
	seen *seen
}

// readSigningToken reads a file with a signing token, and returns the key that it is of.
func readSigningToken(path string) (leak.Secret, error) {
	token, err := secretfile.Token(path)
	if err != nil {
		return leak.Secret{}, err
	}
	text, ok := strings.CutPrefix(token.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) == 0 {
		return leak.Secret{}, errors.New("names a file that is not whsec_ and a key in base64")
	}
	return leak.NewSecret(string(key)), nil
}

// Admit demands an id, a time not far from now, and a signature that may be one.
func (s *signing) Admit(header http.Header) error {
	_, err := readProof(header)
	return err
}

// Verify checks the signatures over the raw body, and the time, and that the delivery was not taken before. Every key is
// tried, whichever it is, in constant time.
func (s *signing) Verify(_ context.Context, header http.Header, body []byte) error {
	p, err := readProof(header)
	if err != nil {
		return err
	}
	good := 0
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		_, _ = io.WriteString(mac, p.name()+".") // a hash takes everything
		mac.Write(body)
		sum := mac.Sum(nil)
		for _, signature := range p.signatures {
			good |= subtle.ConstantTimeCompare(sum, signature)
		}
	}
	if good != 1 {
		return fmt.Errorf("%w: no signing token of ours signed it", receiver.ErrUnverified)
	}
	if s.seen.has(p.name()) {
		return fmt.Errorf("%w: it was taken before", receiver.ErrUnverified)
	}
	return nil
}

// Remember implements receiver.Rememberer.
func (s *signing) Remember(header http.Header) {
	if p, err := readProof(header); err == nil {
		s.seen.add(p.name())
	}
}

// proof is what a header says to prove a delivery.
type proof struct {
	id, timestamp string
	signatures    [][]byte // those of the version that we know
}

// name is that of a delivery, and of no other. GitLab sends a delivery again under the same id, when it is asked to and when it
// does not know whether it did: with another time. With the same time it is a copy, which only somebody in between can have; if
// GitLab itself sends twice within a second, the second is refused like one, and the first is stored.
func (p proof) name() string { return p.id + "." + p.timestamp }

// readProof reads the three fields of a header. An id with a dot would let the signature of one delivery fit another.
func readProof(header http.Header) (proof, error) {
	var values [3]string
	for i, field := range []string{idHeader, timestampHeader, signatureHeader} {
		var err error
		if values[i], err = once(header, field); err != nil {
			return proof{}, err
		}
	}
	p := proof{values[0], values[1], readSignatures(values[2])}
	if p.id == "" || len(p.id) > maxID || strings.ContainsFunc(p.id, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }) {
		return proof{}, fmt.Errorf("%w: its id is none", receiver.ErrUnverified)
	}
	if err := checkTime(p.timestamp); err != nil {
		return proof{}, err
	}
	if len(p.signatures) == 0 {
		return proof{}, fmt.Errorf("%w: it has no signature of version 1", receiver.ErrUnverified)
	}
	return p, nil
}

func checkTime(text string) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: its time is none", receiver.ErrUnverified)
	}
	if time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return fmt.Errorf("%w: its time is more than %v from ours", receiver.ErrUnverified, tolerance)
	}
	return nil
}

// readSignatures reads those of version 1, which is v1, and base64 of HMAC-SHA256. Blanks stand between several, and there
// may be some of other versions.
func readSignatures(text string) [][]byte {
	var signatures [][]byte
	for one := range strings.FieldsSeq(text) {
		encoded, ok := strings.CutPrefix(one, "v1,")
		signature, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if ok && err == nil && len(signature) == sha256.Size {
			signatures = append(signatures, signature)
		}
	}
	return signatures
}
