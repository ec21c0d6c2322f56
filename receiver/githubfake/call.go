package githubfake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

// object is a JSON object; a nil value reads null.
type object = vendorfake.Object

// answer is what a call is answered with.
type answer = vendorfake.Answer

// mediaType is what GitHub calls its JSON.
const mediaType = "application/json; charset=utf-8"

// maxBody is the most that is read of a request, in bytes.
const maxBody = 1 << 20

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	route   *route
	event   Event // for the journal

	token    *token  // whose request it is
	refused  *answer // what a request without a good token gets
	org      *account
	repo     *repo
	alert    *alert
	hook     *hook
	delivery *delivery
	body     []byte // of the request
	links    vendorfake.Links
}

// ServeHTTP answers one call of a route.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := rt.fake
	c := &call{fake: f, request: r, route: rt, links: vendorfake.Links{}}
	c.event = Event{
		Op: rt.op, Method: r.Method, Path: r.URL.Path, Target: target(r), Number: number(r), Query: r.URL.RawQuery,
	}
	w.Header().Set("X-GitHub-Request-Id", strings.ToUpper(vendorfake.Random(16)))
	c.identify()
	f.Meet(c.event).Answer(w, r, c.serve, c.record)
}

// record puts a call into the journal, with the status of its answer.
func (c *call) record(status int) {
	c.event.At, c.event.Status = c.fake.options.Now(), status
	c.fake.Record(c.event)
}

// serve answers a call as GitHub does.
func (c *call) serve() answer { return c.decide().Encode(mediaType) }

func (c *call) decide() answer {
	f := c.fake
	c.body, _ = io.ReadAll(io.LimitReader(c.request.Body, maxBody)) // a body that is cut reads as bad input
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil {
		return *c.refused
	}
	window := window{f.window(c.token), f.options.RateLimit}
	if window.spent() && !c.route.free {
		return window.mark(f.limited())
	}
	a := c.find().Or(c.permit).Or(func() *answer { return c.route.handle(c) })
	done := c.conditional(*a)
	if done.Status != http.StatusNotModified && !c.route.free {
		window.Used++
	}
	return c.describe(window.mark(done))
}

// conditional turns an answer into 304 when the caller has it already.
func (c *call) conditional(a answer) answer {
	a = a.Encode(mediaType)
	if c.request.Method != http.MethodGet || a.Status != http.StatusOK {
		return a
	}
	sum := sha256.Sum256(append(a.Raw, c.links.Header()...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if c.request.Header.Get("If-None-Match") == tag {
		c.event.Secrets = 0
		return answer{Status: http.StatusNotModified}.With("ETag", tag)
	}
	return a.With("ETag", tag)
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.links.Header(); link != "" {
		a = a.With("Link", link)
	}
	for name, value := range c.scopeHeaders() {
		a = a.With(name, value)
	}
	if c.fake.options.Enterprise {
		a = a.With("X-GitHub-Enterprise-Version", "3.16.0")
	}
	return a.With("X-GitHub-Media-Type", "github.v3; format=json")
}

func ok(body any) *answer { return &answer{Status: http.StatusOK, Body: body} }

// refuse is an error answer.
func refuse(status int, message string) *answer {
	return &answer{Status: status, Body: object{
		"message": message, "documentation_url": "https://docs.github.example/rest", "status": fmt.Sprint(status),
	}}
}

func notFound() *answer { return refuse(http.StatusNotFound, "Not Found") }

// invalid is the answer to a value that a field cannot have.
func invalid(field string) *answer {
	return &answer{Status: http.StatusUnprocessableEntity, Body: object{
		"message":           "Validation Failed",
		"errors":            []object{{"field": field, "code": "invalid"}},
		"documentation_url": "https://docs.github.example/rest", "status": "422",
	}}
}

// read decodes the body of a request, or says what is wrong with it.
func (c *call) read(into any) *answer {
	if err := json.Unmarshal(c.body, into); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}
