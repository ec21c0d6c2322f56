package githubfake

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

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
	Status     string // OK, as GitHub documents; what went wrong in words that it does not; empty: not sent yet
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
