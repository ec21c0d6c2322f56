package span

import (
	"errors"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// Transport makes a span of each request that goes through another transport, with its method, host and status. It leaves out
// paths, which may hold ids and secrets. It does not change the request: no header tells the far side about our traces.
func Transport(through http.RoundTripper) http.RoundTripper { return transport{through} }

type transport struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, s := below(r.Context(), methodName(r.Method), trace.SpanKindClient)
	if s.span == nil {
		return t.RoundTripper.RoundTrip(r)
	}
	s.Set(Method, methodName(r.Method))
	s.Set(Address, r.URL.Hostname())
	response, err := t.RoundTripper.RoundTrip(r)
	failure := err
	if err == nil {
		s.SetInt(Status, response.StatusCode)
		if response.StatusCode >= http.StatusBadRequest {
			failure = errStatus
		}
	}
	s.End(failure)
	return response, err
}

// errStatus marks the span of an answer that is no success as failed.
var errStatus = errors.New("the status is no success")

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead}

// methodName is the method of a request as an attribute: a method that is not well known is _OTHER.
func methodName(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "_OTHER"
}
