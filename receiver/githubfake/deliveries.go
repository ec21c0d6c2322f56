package githubfake

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // GitHub still sends it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Delivery is one POST to a hook, as a test reads it back.
type Delivery struct {
	ID         int64
	GUID       string // of the event; its redeliveries have the same
	Hook       int64
	Event      string
	Action     string
	Repository string // owner/name; empty: none
	Redelivery bool
	Status     string // OK, as GitHub documents; otherwise what went wrong, in our words; empty: not sent yet
	StatusCode int    // that the receiver answered; see Switches.Unreached
	At         time.Time
	Duration   time.Duration
	Payload    []byte // the JSON, also of a form
}

type delivery struct {
	Delivery
	hook         *hook
	repo         *repo
	installation *installation
	request      http.Header
	response     http.Header
	answered     string // the body of the response
}

// Deliveries returns every delivery that was made or waits, oldest first, however old.
func (f *Fake) Deliveries() []Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := make([]Delivery, len(f.deliveries))
	for i, d := range f.deliveries {
		made[i] = d.Delivery
	}
	return made
}

// retention is how long a delivery stays listed.
func (f *Fake) retention() time.Duration {
	if f.options.Enterprise {
		return 7 * 24 * time.Hour
	}
	return 3 * 24 * time.Hour
}

// listed reports whether a delivery was made for a hook and is still kept.
func (f *Fake) listed(d *delivery, h *hook) bool {
	return d.hook == h && d.Status != "" && f.options.Now().Sub(d.At) < f.retention()
}

// listDeliveries lists a hook's deliveries, newest first, by cursor.
func (c *call) listDeliveries() *answer {
	if no := c.theHook(); no != nil {
		return no
	}
	query := c.request.URL.Query()
	before, err := strconv.ParseInt(cmp.Or(query.Get("cursor"), "0"), 10, 64)
	if err != nil {
		return invalid("cursor")
	}
	size := perPage(query)
	var shown []object
	for _, d := range slices.Backward(c.fake.deliveries) {
		if !c.fake.listed(d, c.hook) || before > 0 && d.ID > before {
			continue
		}
		if len(shown) == size {
			c.links.Add(c.request, "next", "cursor", strconv.FormatInt(d.ID, 10))
			break
		}
		shown = append(shown, d.show())
	}
	return ok(append([]object{}, shown...))
}

// theDelivery finds the delivery that a call names, or answers 404.
func (c *call) theDelivery() *answer {
	if no := c.theHook(); no != nil {
		return no
	}
	id, _ := strconv.ParseInt(c.request.PathValue("delivery"), 10, 64) // no delivery has the id 0
	at := slices.IndexFunc(c.fake.deliveries, func(d *delivery) bool { return d.ID == id && c.fake.listed(d, c.hook) })
	if at < 0 {
		return notFound()
	}
	c.delivery = c.fake.deliveries[at]
	return nil
}

// getDelivery answers a delivery with what was sent. A location event's payload holds the secret here, too.
func (c *call) getDelivery() *answer {
	no := c.theDelivery()
	if no != nil {
		return no
	}
	d := c.delivery
	shown := d.show()
	shown["url"] = d.hook.URL
	shown["request"] = object{"headers": vendorfake.Flat(d.request), "payload": json.RawMessage(d.Payload)}
	shown["response"] = object{"headers": vendorfake.Flat(d.response), "payload": d.answered}
	return ok(shown)
}

// redeliver is POST .../attempts: the same payload and GUID are sent again, as a new delivery.
func (c *call) redeliver() *answer {
	no := c.theDelivery()
	if no != nil {
		return no
	}
	again := &delivery{Delivery: c.delivery.Delivery, hook: c.hook, repo: c.delivery.repo}
	again.installation = c.delivery.installation
	again.Redelivery, again.Status, again.StatusCode = true, "", 0
	c.fake.enqueue(again)
	return &answer{Status: http.StatusAccepted, Body: object{}}
}

func (d *delivery) show() object {
	shown := object{
		"id": d.ID, "guid": d.GUID, "delivered_at": d.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		"redelivery": d.Redelivery, "duration": d.Duration.Seconds(), "status": d.Status, "status_code": d.StatusCode,
		"event": d.Event, "action": vendorfake.Null(d.Action), "installation_id": nil, "repository_id": nil, "throttled_at": nil,
	}
	if d.repo != nil {
		shown["repository_id"] = d.repo.id
	}
	if d.installation != nil {
		shown["installation_id"] = d.installation.id
	}
	return shown
}

// deliver queues the delivery of an event to a hook: once, twice or not at all, as the switches say.
func (f *Fake) deliver(h *hook, e event, guid string) {
	d := delivery{hook: h, repo: e.repo, installation: e.installation(h)}
	d.GUID, d.Hook, d.Event, d.Action, d.Payload = guid, h.ID, e.name, e.action, e.payload(h)
	if e.repo != nil {
		d.Repository = e.repo.Name
	}
	times := 1
	switch {
	case f.Switches().Drop:
		times = 0
	case f.Switches().Twice:
		times = 2
	}
	for range times {
		one := d
		f.enqueue(&one)
	}
}

// enqueue gives a delivery its id and queues it.
func (f *Fake) enqueue(d *delivery) {
	d.ID = f.nextID()
	f.deliveries = append(f.deliveries, d)
	f.Enqueue(f.Switches().Reversed, func() { f.transmit(d) })
}

// transmit sends a delivery and records the result.
func (f *Fake) transmit(d *delivery) {
	f.mu.Lock()
	request := f.newRequest(d)
	d.request = request.Header
	f.mu.Unlock()
	sent := f.Post(request)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(d, sent)
}

// newRequest writes a delivery, signed with the secret that its hook has now. With an invalid URL it goes nowhere.
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

// status is the result of a POST in words.
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

// note records the result of a delivery.
func (f *Fake) note(d *delivery, s vendorfake.Sent) {
	d.At, d.Duration, d.Status, d.StatusCode = f.options.Now(), s.Duration, status(s), s.Code
	d.response, d.answered = s.Header, s.Body
	if s.Code == 0 {
		d.StatusCode = max(f.Switches().Unreached, 0)
	}
}
