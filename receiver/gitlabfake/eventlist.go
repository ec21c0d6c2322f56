package gitlabfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

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

// sendNow has a delivery sent while the caller waits, and answered by what became of it.
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

// sample is what a test of a trigger is sent with: the newest vulnerability that the hook would hear of, or, for a push, next
// to nothing; nil: there is none.
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
