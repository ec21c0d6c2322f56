package ibmfake

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// handler answers one call. It runs under the fake's lock and does no I/O.
type handler func(*call) answer

// served is what a route answers with; apiRoutes' mux only finds it.
type served struct {
	handler
	open bool // whether it needs no token
}

// ServeHTTP is never called: the mux only finds the handler.
func (served) ServeHTTP(http.ResponseWriter, *http.Request) {}

func (f *Fake) apiRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /identity/token", served{handler: f.token, open: true})
	for pattern, h := range map[string]handler{
		"GET /v1/apikeys":                 f.listKeys,
		"POST /v1/apikeys":                f.createKey,
		"GET /v1/apikeys/details":         f.details,
		"GET /v1/apikeys/{id}":            f.readKey,
		"PUT /v1/apikeys/{id}":            f.updateKey,
		"DELETE /v1/apikeys/{id}":         f.write("delete"),
		"POST /v1/apikeys/{id}/lock":      f.write("lock"),
		"DELETE /v1/apikeys/{id}/lock":    f.write("unlock"),
		"POST /v1/apikeys/{id}/disable":   f.write("disable"),
		"DELETE /v1/apikeys/{id}/disable": f.write("enable"),
		"GET /v1/serviceids":              f.listServices,
		"GET /v1/serviceids/{$}":          f.listServices,
		"GET /v1/serviceids/{id}":         f.readService,
		"GET /v2/resource_keys/{id}":      f.readCredential,
		"DELETE /v2/resource_keys/{id}":   f.deleteCredential,
	} {
		mux.Handle(pattern, served{handler: h})
	}
	return mux
}

// serve answers a call as IAM does.
func (c *call) serve() answer { return c.decide().Encode("application/json") }

// decide does what a call asks for. A request that IAM has no route for is answered 404 or 405 without a body.
func (c *call) decide() answer {
	f := c.fake
	found, _ := f.api.Handler(c.request)
	route, ok := found.(served)
	if !ok {
		return answer{Status: http.StatusNotFound}
	}
	c.body, _ = io.ReadAll(io.LimitReader(c.request.Body, 1<<16)) // a body that is cut reads as bad input
	f.mu.Lock()
	defer f.mu.Unlock()
	c.grant = f.caller(c.request)
	if !route.open && c.grant.iamID == "" {
		return f.refuse(http.StatusUnauthorized, "invalid_token", "BXNIM0407E", "Provided token is invalid or expired", "")
	}
	return route.handler(c)
}

// may reports whether the caller may see and change what belongs to an identity.
func (c *call) may(iamID string) bool { return c.grant.administrator || c.grant.iamID == iamID }

func (f *Fake) forbidden() answer {
	return f.refuse(http.StatusForbidden, "forbidden", "BXNIM0513E", "You are not authorized to use this API", "")
}

func (f *Fake) notFound(kind, id string) answer {
	return f.refuse(http.StatusNotFound, "not_found", "BXNIM0102E", "Unable to find object",
		fmt.Sprintf("Object type '%s' with ID '%s' not found.", kind, id))
}

func (f *Fake) badRequest(details string) answer {
	return f.refuse(http.StatusBadRequest, "bad_request", "BXNIM0109E", "Property missing or empty.", details)
}

type exception struct {
	Context    map[string]string `json:"context"`
	StatusCode any               `json:"status_code"`
	Errors     []exceptionError  `json:"errors"`
	Trace      string            `json:"trace"`
}

type exceptionError struct {
	Code        string `json:"code"`
	MessageCode string `json:"message_code"`
	Message     string `json:"message"`
	Details     string `json:"details,omitempty"`
}

// refuse is an error answer of /v1.
func (f *Fake) refuse(status int, code, messageCode, message, details string) answer {
	e := exception{Context: map[string]string{"transaction_id": transactionID()}, StatusCode: fmt.Sprint(status)}
	if f.Switches().NumericStatus {
		e.StatusCode = status
	}
	e.Errors = []exceptionError{{Code: code, MessageCode: messageCode, Message: message, Details: details}}
	e.Trace = transactionID()
	return answer{Status: status, Body: e}
}

// flag reads a boolean query parameter or header.
func flag(value string) bool { return strings.EqualFold(value, "true") }
