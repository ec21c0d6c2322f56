package gitlabfake

import (
	"encoding/json"
	"net/http"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// Outcome is what became of a delivery.
type Outcome string

// The outcomes. GitLab lists those that were Sent only; what it skipped has left no trace.
const (
	Waiting   Outcome = ""          // not sent yet, or under way
	Sent      Outcome = "sent"      // whatever the answer
	Skipped   Outcome = "disabled"  // the hook was switched off
	Recursive Outcome = "recursive" // the chain of hooks and calls has been at this hook
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

// deliver makes the delivery of an event to a hook, or two, or none, as the switches say.
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

// transmit sends a delivery, unless something is against it, and writes down what became of it. It gives the fake's lock
// away while the receiver answers.
func (f *Fake) transmit(d *delivery) {
	if d.Outcome = f.against(d); d.Outcome != Waiting {
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

// against is why a delivery is not sent; Waiting: it is.
func (f *Fake) against(d *delivery) Outcome {
	forced := d.Test || d.Again && f.Switches().ResendDisabled
	switch {
	case !forced && d.hook.status(f.options.Now()) != Executable:
		return Skipped
	case d.chained && f.chain(d.EventUUID).blocks(d.Hook):
		return Recursive
	}
	return Waiting
}

// note writes down what became of a delivery, and counts it for or against its hook.
func (f *Fake) note(d *delivery, s vendorfake.Sent) {
	if s.Err != nil {
		s = vendorfake.Sent{Duration: s.Duration} // an answer that is cut is none
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
