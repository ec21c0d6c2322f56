package gitlabfake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Outcome is the result of a delivery.
type Outcome string

// The outcomes. GitLab lists those that were Sent only; what it skipped leaves no trace.
const (
	Waiting   Outcome = ""          // not sent yet, or in progress
	Sent      Outcome = "sent"      // whatever the answer
	Skipped   Outcome = "disabled"  // the hook was switched off
	Recursive Outcome = "recursive" // the chain of hooks and calls has reached this hook before
)

// Delivery is one POST to a hook, or one that was not made, as a test reads it back.
type Delivery struct {
	ID             int64
	Hook           int64
	Trigger        string // such as VulnerabilityHooks
	Project        string // path
	IdempotencyKey string // webhook-id, too; the same when an event is sent again
	EventUUID      string
	Outcome        Outcome
	Again          bool // asked for by POST .../resend
	Test           bool
	StatusCode     int // that the receiver answered; 0: none
	At             time.Time
	Duration       time.Duration
	Payload        []byte
}

type delivery struct {
	Delivery
	hook     *hook
	url      string
	chained  bool // whether the request that caused it was part of a chain
	request  http.Header
	response http.Header
	answered string // the body of the response
}

// Deliveries returns every delivery that was made, skipped or waits, oldest first, however old.
func (f *Fake) Deliveries() []Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := make([]Delivery, len(f.deliveries))
	for i, d := range f.deliveries {
		made[i] = d.Delivery
	}
	return made
}

// deliver queues the delivery of an event to a hook: once, twice or not at all, as the switches say.
func (f *Fake) deliver(h *hook, d Delivery) {
	d.Hook, d.IdempotencyKey = h.ID, vendorfake.UUID()
	chained := d.EventUUID != ""
	if !chained {
		d.EventUUID = vendorfake.UUID()
	}
	times := 1
	switch {
	case f.Switches().Drop:
		times = 0
	case f.Switches().Twice:
		times = 2
	}
	for range times {
		one := f.enter(h, d)
		one.chained = chained
		f.Enqueue(f.Switches().Reversed, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.transmit(one)
		})
	}
}

// enter writes a delivery down, under an id of its own.
func (f *Fake) enter(h *hook, d Delivery) *delivery {
	d.ID = f.nextID()
	entered := &delivery{Delivery: d, hook: h}
	f.deliveries = append(f.deliveries, entered)
	return entered
}

// transmit sends a delivery, unless it is blocked, and records the result. It releases the fake's lock while the receiver
// answers.
func (f *Fake) transmit(d *delivery) {
	if d.Outcome = f.blocked(d); d.Outcome != Waiting {
		return
	}
	f.chain(d.EventUUID).add(d.Hook)
	d.At = f.options.Now()
	request := f.newRequest(d)
	d.request, d.url = request.Header, d.hook.URL
	f.mu.Unlock()
	sent := f.Post(request)
	f.mu.Lock()
	f.note(d, sent)
}

// blocked is why a delivery is not sent; Waiting: it may be sent.
func (f *Fake) blocked(d *delivery) Outcome {
	forced := d.Test || d.Again && f.Switches().ResendDisabled
	switch {
	case !forced && d.hook.status(f.options.Now()) != Executable:
		return Skipped
	case d.chained && f.chain(d.EventUUID).blocks(d.Hook):
		return Recursive
	}
	return Waiting
}

// note records the result of a delivery, and counts it as a success or a failure of its hook.
func (f *Fake) note(d *delivery, s vendorfake.Sent) {
	if s.Err != nil {
		s = vendorfake.Sent{Duration: s.Duration} // a truncated answer counts as none
	}
	d.Outcome, d.Duration, d.StatusCode = Sent, s.Duration, s.Code
	d.response, d.answered = s.Header, s.Body[:min(len(s.Body), maxAnswer)]
	if s.Code >= 200 && s.Code < 400 {
		d.hook.succeeded()
	} else {
		d.hook.failed(f.options.Now())
	}
}

// data is the payload as the list of events shows it.
func (d *delivery) data() json.RawMessage { return d.Payload }

// maxAnswer is how much of a receiver's answer GitLab keeps, in bytes.
const maxAnswer = 8 << 10

// signingPrefix is what signing tokens start with, before the key in base64.
const signingPrefix = "whsec_"

// NewSigningToken makes a signing token as GitLab does: of a key of 32 bytes.
func NewSigningToken() leak.Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return leak.NewSecret(signingPrefix + base64.StdEncoding.EncodeToString(key))
}

// Sign returns the webhook-signature of a body, as Standard Webhooks has it: v1 and the HMAC-SHA256, under the key in the
// signing token, of the id, the time in seconds and the body. A token that holds no key signs with the empty one.
func Sign(token leak.Secret, id string, at time.Time, body []byte) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), signingPrefix))
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+strconv.FormatInt(at.Unix(), 10)+".") // a hash takes everything
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Header returns the header of a delivery as GitLab 19.0 sends it, for tests that send deliveries themselves.
// The id is the delivery's webhook-id and Idempotency-Key. Without a signing token it is not signed.
func Header(trigger, id string, at time.Time, signing leak.Secret, body []byte) http.Header {
	header := plainHeader(trigger, id)
	signInto(header, id, at, signing, body)
	return header
}

// plainHeader is what every delivery has.
func plainHeader(trigger, id string) http.Header {
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "GitLab/19.0.0-ee", "X-Gitlab-Event": headerOf(trigger),
		"X-Gitlab-Webhook-UUID": vendorfake.UUID(), uuidHeader: vendorfake.UUID(), "X-Gitlab-Instance": htmlURL, "Idempotency-Key": id,
	} {
		header.Set(name, value)
	}
	return header
}

// signInto adds the fields of Standard Webhooks.
func signInto(header http.Header, id string, at time.Time, signing leak.Secret, body []byte) {
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	if !signing.Empty() {
		header.Set("webhook-signature", Sign(signing, id, at, body))
	}
}

// newRequest writes a delivery, with the tokens that its hook has now. With an invalid URL it goes nowhere.
func (f *Fake) newRequest(d *delivery) *http.Request {
	request := f.NewPost(d.hook.URL, d.Payload)
	header := plainHeader(d.Trigger, d.IdempotencyKey)
	header.Set("User-Agent", "GitLab/"+f.version.String())
	header.Set(uuidHeader, d.EventUUID)
	if !f.since(hookResend) {
		header.Del("Idempotency-Key")
	}
	if !d.hook.Token.Empty() {
		header.Set("X-Gitlab-Token", d.hook.Token.Reveal())
	}
	if f.since(signedHooks) {
		signInto(header, d.IdempotencyKey, d.At, d.hook.SigningToken, d.Payload)
		f.signMore(header, d)
	}
	request.Header = header
	return request
}

// signMore puts other signatures before the good one, if the switch says so.
func (f *Fake) signMore(header http.Header, d *delivery) {
	if good := header.Get("webhook-signature"); good != "" && f.Switches().Signatures == "many" {
		other := Sign(NewSigningToken(), d.IdempotencyKey, d.At, d.Payload)
		header.Set("webhook-signature", "v1a"+strings.TrimPrefix(other, "v1")+" "+other+" "+good)
	}
}

// How long GitLab remembers the hooks that a chain has reached, and how many it may reach.
const (
	chainLife  = 30 * time.Minute
	chainHooks = 100
)

// chain is a series of deliveries and calls under one X-Gitlab-Event-UUID: a receiver that sends the UUID of a delivery on
// with its own calls makes the hooks that these cause part of the chain. No hook is in a chain twice.
type chain struct {
	hooks map[int64]bool
	until time.Time
	now   func() time.Time
}

// chain returns the chain of a UUID, a new one when none is remembered.
func (f *Fake) chain(uuid string) *chain {
	known, ok := f.chains[uuid]
	if !ok || f.options.Now().After(known.until) {
		known = &chain{hooks: map[int64]bool{}, now: f.options.Now, until: f.options.Now().Add(chainLife)}
		f.chains[uuid] = known
	}
	return known
}

func (c *chain) add(hook int64) {
	c.hooks[hook] = true
	c.until = c.now().Add(chainLife)
}

func (c *chain) blocks(hook int64) bool { return c.hooks[hook] || len(c.hooks) >= chainHooks }

// How long an event stays listed, how many a page has at most, and how many may be sent again in a minute by a user for a
// group or project, as GitLab documents.
const (
	eventLife       = 7 * 24 * time.Hour
	eventsPerPage   = 20
	resendPerMinute = 5
	testsPerMinute  = 3
)

// internalError is the response_status of a delivery that nobody answered.
const internalError = "internal error"

// listEvents lists what was sent to a hook, newest first. What was skipped is not there.
func (c *call) listEvents() *answer {
	query := c.request.URL.Query()
	if no := c.theHook(); no != nil {
		return no
	}
	if query.Has("per_page") && (positive(query, "per_page", 0) == 0 || positive(query, "per_page", 0) > eventsPerPage) {
		return invalid("per_page")
	}
	var wanted []string
	if query.Get("status") != "" {
		wanted = strings.Split(query.Get("status"), ",")
	}
	if slices.ContainsFunc(wanted, func(status string) bool { return !knownStatus(status) }) {
		return invalid("status")
	}
	var found []*delivery
	for _, d := range slices.Backward(c.fake.deliveries) {
		if c.fake.listed(d, c.hook) && d.is(wanted) {
			found = append(found, d)
		}
	}
	shown := []object{}
	for _, d := range byNumber(c, found, positive(query, "per_page", eventsPerPage)) {
		shown = append(shown, d.show())
	}
	return ok(shown)
}

// listed reports whether a delivery was sent to a hook and is still kept.
func (f *Fake) listed(d *delivery, h *hook) bool {
	return d.hook == h && d.Outcome == Sent && f.options.Now().Sub(d.At) < eventLife
}

// knownStatus reports whether a listing can ask for a status: a class of them, or a number.
func knownStatus(status string) bool {
	code, err := strconv.Atoi(status)
	return slices.Contains([]string{"successful", "client_failure", "server_failure"}, status) ||
		err == nil && http.StatusText(code) != ""
}

// is reports whether a delivery has one of the statuses; none: any.
func (d *delivery) is(statuses []string) bool {
	class := map[int]string{2: "successful", 4: "client_failure", 5: "server_failure", 0: "server_failure"}[d.StatusCode/100]
	return len(statuses) == 0 || slices.Contains(statuses, d.status()) || slices.Contains(statuses, class)
}

func (d *delivery) status() string {
	if d.StatusCode == 0 {
		return internalError
	}
	return strconv.Itoa(d.StatusCode)
}

func (d *delivery) show() object {
	request := vendorfake.Flat(d.request)
	if _, ok := request["X-Gitlab-Token"]; ok {
		request["X-Gitlab-Token"] = "[REDACTED]"
	}
	return object{
		"id": d.ID, "url": d.url, "trigger": d.Trigger, "request_headers": request, "request_data": d.data(),
		"response_headers": vendorfake.Flat(d.response), "response_body": d.answered, "response_status": d.status(),
		"execution_duration": d.Duration.Seconds(),
	}
}

// resendEvent is POST .../resend: the same payload and Idempotency-Key are sent again while the caller waits, and listed as
// a new event. A hook that is switched off, or whose URL has changed, gets nothing.
func (c *call) resendEvent() *answer {
	if no := c.theHook(); no != nil {
		return no
	}
	f := c.fake
	if spend(f.minute("resending "+c.hook.owner()+" "+c.token.Login), resendPerMinute) {
		return tooOften()
	}
	at := slices.IndexFunc(f.deliveries, func(d *delivery) bool { return d.ID == c.event.Number && f.listed(d, c.hook) })
	if at < 0 {
		return notFound("")
	}
	old := f.deliveries[at]
	if old.url != c.hook.URL {
		return refuse(http.StatusUnprocessableEntity, "The hook URL has changed, and this log entry cannot be retried")
	}
	d := old.Delivery
	d.Outcome, d.Again, d.EventUUID = Waiting, true, vendorfake.UUID()
	c.sendNow(d, func(d *delivery) *answer { return created(object{"response_status": d.StatusCode}) })
	return noContent()
}

// testHook is POST .../test/TRIGGER. It is sent to a hook that is switched off, too, and switches it on if it succeeds.
func (c *call) testHook() *answer {
	if no := c.theHook(); no != nil {
		return no
	}
	f := c.fake
	if spend(f.minute("testing "+c.hook.owner()+" "+c.token.Login), testsPerMinute) {
		return tooOften()
	}
	payload, trigger := c.sample()
	if payload == nil {
		return refuse(http.StatusUnprocessableEntity, "Ensure the project has something to test the hook with.")
	}
	d := Delivery{Hook: c.hook.ID, Trigger: trigger, IdempotencyKey: vendorfake.UUID(), EventUUID: vendorfake.UUID(), Test: true, Payload: payload}
	c.sendNow(d, func(d *delivery) *answer {
		if d.StatusCode < 200 || d.StatusCode > 299 {
			return refuse(http.StatusUnprocessableEntity, "Hook execution failed")
		}
		return created(object{"message": "201 Created"})
	})
	return noContent()
}

// sendNow sends a delivery while the caller waits, and answers with its result.
func (c *call) sendNow(d Delivery, then func(*delivery) *answer) {
	c.after = func() answer {
		f := c.fake
		f.mu.Lock()
		defer f.mu.Unlock()
		sent := f.enter(c.hook, d)
		f.transmit(sent)
		switch {
		case sent.Outcome == Skipped:
			return *refuse(http.StatusUnprocessableEntity, "Hook disabled")
		case sent.StatusCode == 0:
			return *refuse(http.StatusUnprocessableEntity, "Failed to open TCP connection")
		}
		return *then(sent)
	}
}

// sample is the payload of a test: the newest vulnerability that the hook would hear of, or next to nothing for a push; nil:
// there is none.
func (c *call) sample() (payload []byte, trigger string) {
	trigger = strings.TrimSuffix(c.request.PathValue("trigger"), "_events") + "_hooks"
	var body object
	switch trigger {
	case PushHooks:
		body = object{"object_kind": "push", "event_name": "push"}
	case VulnerabilityHooks:
		var newest *vulnerability
		for _, v := range c.fake.vulnerabilities {
			if c.hook.listens(trigger, v.project) && (newest == nil || v.ID > newest.ID) {
				newest = v
			}
		}
		if newest == nil {
			return nil, trigger
		}
		body = c.fake.event(newest)
	default:
		return nil, trigger
	}
	payload, _ = json.Marshal(body) // our own plain values always marshal
	return payload, trigger
}
