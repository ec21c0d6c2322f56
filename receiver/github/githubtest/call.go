package githubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// object is a JSON object; a nil value reads null.
type object map[string]any

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
	body     []byte            // of the request
	links    map[string]string // of the answer, by relation
	answer   answer
}

// answer is what a call is answered with.
type answer struct {
	status int
	header map[string]string
	body   any    // sent as JSON; nil: none
	raw    []byte // sent as it is, when there is no body
}

// ServeHTTP answers one call of a route.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := rt.fake
	c := &call{fake: f, request: r, route: rt, links: map[string]string{}}
	c.event = Event{Op: rt.op, Target: target(r), Number: number(r), Query: r.URL.RawQuery}
	fault := f.meet(c)
	if !fault.wait(r.Context()) {
		return
	}
	c.answer = fault.replace(c)
	f.record(c)
	if fault.Cut {
		panic(http.ErrAbortHandler)
	}
	c.answer.write(w)
}

// serve answers a call as GitHub does.
func (c *call) serve() answer {
	f := c.fake
	c.body, _ = io.ReadAll(io.LimitReader(c.request.Body, maxBody)) // a body that is cut reads as bad input
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil {
		return *c.refused
	}
	window := f.window(c.token)
	if window.spent(f.options.RateLimit) && !c.route.free {
		return window.mark(f.limited(), f.options.RateLimit)
	}
	a := c.find().or(c.permit).or(func() *answer { return c.route.handle(c) })
	done := c.conditional(*a)
	if done.status != http.StatusNotModified && !c.route.free {
		window.used++
	}
	return c.describe(window.mark(done, f.options.RateLimit))
}

// or returns an answer that is there, and otherwise what next gives.
func (a *answer) or(next func() *answer) *answer {
	if a != nil {
		return a
	}
	return next()
}

// conditional turns an answer into 304 when the caller has it already.
func (c *call) conditional(a answer) answer {
	a = a.encode()
	if c.request.Method != http.MethodGet || a.status != http.StatusOK {
		return a
	}
	sum := sha256.Sum256(append(a.raw, c.linkHeader()...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if c.request.Header.Get("If-None-Match") == tag {
		c.event.Secrets = 0
		return answer{status: http.StatusNotModified}.with("ETag", tag)
	}
	return a.with("ETag", tag)
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.linkHeader(); link != "" {
		a = a.with("Link", link)
	}
	for name, value := range c.scopeHeaders() {
		a = a.with(name, value)
	}
	if c.fake.options.Enterprise {
		a = a.with("X-GitHub-Enterprise-Version", "3.16.0")
	}
	return a.with("X-GitHub-Media-Type", "github.v3; format=json")
}

func (c *call) linkHeader() string {
	var links []string
	for _, relation := range []string{"prev", "next", "last", "first"} {
		if url, ok := c.links[relation]; ok {
			links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, url, relation))
		}
	}
	return strings.Join(links, ", ")
}

func (a answer) with(name, value string) answer {
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header[name] = value
	return a
}

// encode turns the body into what is sent.
func (a answer) encode() answer {
	if a.body == nil {
		return a
	}
	// The bodies are our own objects of plain values: they always marshal.
	a.raw, _ = json.Marshal(a.body)
	a.body = nil
	return a.with("Content-Type", "application/json; charset=utf-8")
}

func (a answer) write(w http.ResponseWriter) {
	a = a.encode()
	w.Header().Set("X-GitHub-Request-Id", strings.ToUpper(random(16)))
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.raw) // a reader that went away needs no answer
}

func ok(body any) *answer { return &answer{status: http.StatusOK, body: body} }

// refuse is an error answer.
func refuse(status int, message string) *answer {
	return &answer{status: status, body: object{
		"message": message, "documentation_url": "https://docs.github.example/rest", "status": fmt.Sprint(status),
	}}
}

func notFound() *answer { return refuse(http.StatusNotFound, "Not Found") }

// invalid is the answer to a value that a field cannot have.
func invalid(field string) *answer {
	return &answer{status: http.StatusUnprocessableEntity, body: object{
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
