package githubtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // GitHub still sends it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
)

// maxAnswer is the most that is kept of what a receiver answers, in bytes.
const maxAnswer = 64 << 10

// newDeliverer makes the client that delivers: it follows no redirect.
func newDeliverer(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout, Transport: http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newRequest writes a delivery, signed with the secret that its hook has now. A URL that is none makes it go nowhere.
func (f *Fake) newRequest(d *delivery) *http.Request {
	body, kind := d.Payload, "application/json"
	if d.hook.Form {
		body, kind = []byte(url.Values{"payload": {string(d.Payload)}}.Encode()), "application/x-www-form-urlencoded"
	}
	request, err := http.NewRequestWithContext(f.ctx, http.MethodPost, d.hook.URL, bytes.NewReader(body))
	if err != nil {
		request = &http.Request{Method: http.MethodPost, URL: &url.URL{}}
	}
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

// sent is what became of a POST.
type sent struct {
	status   string
	code     int // 0: nobody answered
	header   http.Header
	body     string
	duration time.Duration
}

// post sends a delivery. It runs without the fake's lock.
func (f *Fake) post(request *http.Request) sent {
	started := time.Now()
	response, err := f.client.Do(request)
	if err != nil {
		return sent{status: failure(err), duration: time.Since(started)}
	}
	defer func() { _ = response.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status has been read, and it decides
	s := sent{status: "OK", code: response.StatusCode, header: response.Header, body: string(data)}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		s.status = fmt.Sprintf("Invalid HTTP Response: %d", response.StatusCode)
	}
	s.duration = time.Since(started)
	return s
}

// failure says why nobody answered.
func failure(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	return "failed to connect to host"
}

// note writes down what became of a delivery.
func (f *Fake) note(d *delivery, s sent) {
	d.At, d.Duration, d.Status, d.StatusCode = f.options.Now(), s.duration, s.status, s.code
	d.response, d.answered = s.header, s.body
	if s.code == 0 {
		d.StatusCode = max(f.switches.Unreached, 0)
	}
}
