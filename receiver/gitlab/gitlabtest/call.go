package gitlabtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// object is a JSON object; a nil value reads null.
type object map[string]any

// maxBody is the most that is read of a request, in bytes.
const maxBody = 1 << 20

// uuidHeader carries, in both directions, which chain of hooks and calls a request is part of.
const uuidHeader = "X-Gitlab-Event-UUID"

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	route   *route
	event   Event // for the journal
	body    []byte
	asked   *document // of GraphQL

	token         *token  // whose request it is
	refused       *answer // what a request without a good token gets
	group         *group
	project       *project
	hook          *hook
	job           *job
	vulnerability *vulnerability
	links         map[string]string // of the answer, by relation
	pages         map[string]string // the X- fields of the answer that say where a page stands
	after         func() answer     // what is left to do without the fake's lock, and the answer then
	answer        answer
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
	c := &call{fake: f, request: r, route: rt, links: map[string]string{}, pages: map[string]string{}}
	c.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a body that is cut reads as bad input
	c.event = Event{
		Op: rt.op, Target: target(r), Number: number(r), Query: r.URL.RawQuery, EventUUID: r.Header.Get(uuidHeader),
	}
	if rt.op == GraphQL {
		c.readDocument()
	}
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

// serve answers a call as GitLab does.
func (c *call) serve() answer {
	a := c.decide()
	if c.after != nil {
		a = c.after()
	}
	return c.describe(a)
}

// decide does what a call asks for, as far as nobody else has to be asked.
func (c *call) decide() answer {
	f := c.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil {
		return *c.refused
	}
	limit, w := f.options.RateLimit, f.window(c.token)
	if w.spend(limit) {
		return w.mark(limited(), limit)
	}
	a := c.permit().or(c.find).or(func() *answer { return c.route.handle(c) })
	if f.switches.QuietLimits {
		limit = 0
	}
	return w.mark(*a, limit)
}

// or returns an answer that is there, and otherwise what next gives.
func (a *answer) or(next func() *answer) *answer {
	if a != nil {
		return a
	}
	return next()
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.linkHeader(); link != "" {
		a = a.with("Link", link)
	}
	for name, value := range c.pages {
		a = a.with(name, value)
	}
	return a.with("X-Request-Id", strings.ToUpper(random(13))).with("X-Gitlab-Meta", `{"version":"1"}`)
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
	return a.with("Content-Type", "application/json")
}

func (a answer) write(w http.ResponseWriter) {
	a = a.encode()
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.raw) // a reader that went away needs no answer
}

func ok(body any) *answer      { return &answer{status: http.StatusOK, body: body} }
func created(body any) *answer { return &answer{status: http.StatusCreated, body: body} }
func noContent() *answer       { return &answer{status: http.StatusNoContent} }

// refuse is an error answer of the REST API.
func refuse(status int, message any) *answer {
	return &answer{status: status, body: object{"message": message}}
}

// notFound is the answer to what is not there, or is not to be seen; what is such as Project.
func notFound(what string) *answer {
	return refuse(http.StatusNotFound, strings.Join(strings.Fields("404 "+what+" Not Found"), " "))
}

func forbidden() *answer { return refuse(http.StatusForbidden, "403 Forbidden") }

// invalid is the answer to a value that a parameter cannot have.
func invalid(parameter string) *answer {
	return &answer{status: http.StatusBadRequest, body: object{"error": parameter + " does not have a valid value"}}
}

// read decodes the body of a request, or says what is wrong with it. No body reads as an empty object.
func (c *call) read(into any) *answer {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return refuse(http.StatusBadRequest, "400 Bad request - The request body is not valid JSON")
	}
	return nil
}
