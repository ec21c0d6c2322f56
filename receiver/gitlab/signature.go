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

// tolerance is how far the time of a delivery may be from ours, in either direction, as Standard Webhooks recommend.
const tolerance = 5 * time.Minute

// maxID is the longest id of a delivery, in bytes. GitLab's have 36.
const maxID = 256

// signing verifies the signatures of deliveries, and refuses a copy of a delivery.
type signing struct {
	keys []leak.Secret // as bytes
	seen *seen
}

// readSigningToken reads a file with a signing token, and returns its key.
func readSigningToken(path string) (leak.Secret, error) {
	token, err := secretfile.Token(path)
	if err != nil {
		return leak.Secret{}, err
	}
	text, ok := strings.CutPrefix(token.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) == 0 {
		return leak.Secret{}, errors.New("names a file that does not hold whsec_ and a key in base64")
	}
	return leak.NewSecret(string(key)), nil
}

// Admit demands an id, a time not far from now, and a well-formed signature.
func (s *signing) Admit(header http.Header) error {
	_, err := readProof(header)
	return err
}

// Verify checks the signatures over the raw body, the time, and that the delivery is not a copy. It tries every key, in constant
// time.
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
		return fmt.Errorf("%w: none of our signing tokens signed it", receiver.ErrUnverified)
	}
	if s.seen.has(p.name()) {
		return fmt.Errorf("%w: it is a copy of an earlier delivery", receiver.ErrUnverified)
	}
	return nil
}

// Remember implements receiver.Rememberer.
func (s *signing) Remember(header http.Header) {
	if p, err := readProof(header); err == nil {
		s.seen.add(p.name())
	}
}

// proof is the part of a header that proves a delivery.
type proof struct {
	id, timestamp string
	signatures    [][]byte // those of the version that we know
}

// name identifies a delivery. GitLab repeats a delivery, on request or when it is not sure that it arrived, under the same id but
// with another time. One with the same time is a copy, made by somebody in between; if GitLab itself repeats a delivery within
// a second, the second one is refused as a copy, and the first is stored.
func (p proof) name() string { return p.id + "." + p.timestamp }

// readProof reads the three fields of a header. It refuses an id with a dot, which could make the signature of one delivery fit
// another.
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
		return proof{}, fmt.Errorf("%w: its id is malformed", receiver.ErrUnverified)
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
		return fmt.Errorf("%w: its time is malformed", receiver.ErrUnverified)
	}
	if time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return fmt.Errorf("%w: its time is more than %v from ours", receiver.ErrUnverified, tolerance)
	}
	return nil
}

// readSignatures reads the signatures of version 1: v1, a comma, and the base64 of an HMAC-SHA256. Blanks separate several, and
// some may be of other versions.
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
