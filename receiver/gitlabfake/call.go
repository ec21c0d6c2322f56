package gitlabfake

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"stanch/receiver/gitlabfake/graphqlfake"
	"stanch/receiver/outbound/vendorfake"
)

// object is a JSON object; a nil value reads null.
type object = vendorfake.Object

// answer is what a call is answered with.
type answer = vendorfake.Answer

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
	asked   *graphqlfake.Document

	token         *token  // whose request it is
	refused       *answer // what a request without a good token gets
	group         *group
	project       *project
	hook          *hook
	job           *job
	vulnerability *vulnerability
	links         vendorfake.Links
	pages         map[string]string // the X- fields of the answer that say where a page stands
	after         func() answer     // what is left to do without the fake's lock, and the answer then
}

// ServeHTTP answers one call of a route.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := rt.fake
	c := &call{fake: f, request: r, route: rt, links: vendorfake.Links{}, pages: map[string]string{}}
	c.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a body that is cut reads as bad input
	c.event = Event{
		Op: rt.op, Method: r.Method, Path: r.URL.Path, Target: target(r), Number: number(r), Query: r.URL.RawQuery,
		Cause: r.Header.Get(uuidHeader),
	}
	if rt.op == GraphQL {
		c.readDocument()
	}
	c.identify()
	f.Meet(c.event).Answer(w, r, c.serve, c.record)
}

// record puts a call into the journal, with the status of its answer.
func (c *call) record(status int) {
	c.event.At, c.event.Status = c.fake.options.Now(), status
	c.fake.Record(c.event)
}

// serve answers a call as GitLab does.
func (c *call) serve() answer {
	a := c.decide()
	if c.after != nil {
		a = c.after()
	}
	return c.describe(a).Encode("application/json")
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
	if spend(w, limit) {
		return f.mark(limited(), w, limit)
	}
	a := c.permit().Or(c.find).Or(func() *answer { return c.route.handle(c) })
	if f.Switches().QuietLimits {
		limit = 0
	}
	return f.mark(*a, w, limit)
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.links.Header(); link != "" {
		a = a.With("Link", link)
	}
	for name, value := range c.pages {
		a = a.With(name, value)
	}
	return a.With("X-Request-Id", strings.ToUpper(vendorfake.Random(13))).With("X-Gitlab-Meta", `{"version":"1"}`)
}

func ok(body any) *answer      { return &answer{Status: http.StatusOK, Body: body} }
func created(body any) *answer { return &answer{Status: http.StatusCreated, Body: body} }
func noContent() *answer       { return &answer{Status: http.StatusNoContent} }

// refuse is an error answer of the REST API.
func refuse(status int, message any) *answer {
	return &answer{Status: status, Body: object{"message": message}}
}

// notFound is the answer to what is not there, or is not to be seen; what is such as Project.
func notFound(what string) *answer {
	return refuse(http.StatusNotFound, strings.Join(strings.Fields("404 "+what+" Not Found"), " "))
}

func forbidden() *answer { return refuse(http.StatusForbidden, "403 Forbidden") }

// invalid is the answer to a value that a parameter cannot have.
func invalid(parameter string) *answer {
	return &answer{Status: http.StatusBadRequest, Body: object{"error": parameter + " does not have a valid value"}}
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
