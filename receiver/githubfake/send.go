package githubfake

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // GitHub still sends it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// newRequest writes a delivery, signed with the secret that its hook has now. A URL that is none makes it go nowhere.
func (f *Fake) newRequest(d *delivery) *http.Request {
	body, kind := d.Payload, "application/json"
	if d.hook.Form {
		body, kind = []byte(url.Values{"payload": {string(d.Payload)}}.Encode()), "application/x-www-form-urlencoded"
	}
	request := f.NewPost(d.hook.URL, body)
	request.Header = Header(d.Event, d.GUID, d.hook.Secret, body)
	request.Header.Set("Content-Type", kind)
	request.Header.Set("X-GitHub-Hook-ID", strconv.FormatInt(d.Hook, 10))
	owner, id := d.hook.target()
	request.Header.Set("X-GitHub-Hook-Installation-Target-Type", owner)
	request.Header.Set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(id, 10))
	if f.options.Enterprise {
		request.Header.Set("X-GitHub-Enterprise-Host", "github.example")
	}
	return request
}

// target is what a hook belongs to: what kind of thing, in the words of the delivery's header, and its id.
func (h *hook) target() (kind string, id int64) {
	switch {
	case h.app != nil:
		return "integration", h.app.id
	case h.repo != nil:
		return "repository", h.repo.id
	}
	return strings.ToLower(organisation), h.org.id
}

// Header returns the header of a delivery of a JSON body, as GitHub sends it: signed with SHA-256 and with SHA-1, or
// not at all without a secret.
func Header(event, guid string, secret leak.Secret, body []byte) http.Header {
	header := http.Header{}
	for name, value := range map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/0f1e2d3",
		"X-GitHub-Event": event, "X-GitHub-Delivery": guid,
	} {
		header.Set(name, value)
	}
	if !secret.Empty() {
		header.Set("X-Hub-Signature-256", "sha256="+mac(sha256.New, secret, body))
		header.Set("X-Hub-Signature", "sha1="+mac(sha1.New, secret, body))
	}
	return header
}

func mac(algorithm func() hash.Hash, secret leak.Secret, body []byte) string {
	m := hmac.New(algorithm, []byte(secret.Reveal()))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// status says what became of a POST, in words.
func status(s vendorfake.Sent) string {
	switch {
	case s.Code == 0:
		return failure(s.Err)
	case s.Code < 200 || s.Code > 299:
		return fmt.Sprintf("Invalid HTTP Response: %d", s.Code)
	}
	return "OK"
}

// failure says why nobody answered.
func failure(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	return "failed to connect to host"
}

// note writes down what became of a delivery.
func (f *Fake) note(d *delivery, s vendorfake.Sent) {
	d.At, d.Duration, d.Status, d.StatusCode = f.options.Now(), s.Duration, status(s), s.Code
	d.response, d.answered = s.Header, s.Body
	if s.Code == 0 {
		d.StatusCode = max(f.Switches().Unreached, 0)
	}
}
