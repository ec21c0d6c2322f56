package span

import (
	"errors"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// Transport shows each request that goes through another transport as a span: its method, the host and the status. Paths
// hold ids and secrets, and so they are not told. The request stays as it is: no header tells the far side of our traces.
func Transport(through http.RoundTripper) http.RoundTripper { return transport{through} }

type transport struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, s := below(r.Context(), MethodName(r.Method), trace.SpanKindClient)
	if s.span == nil {
		return t.RoundTripper.RoundTrip(r)
	}
	s.Set(Method, MethodName(r.Method))
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

// errStatus is what a span says of an answer that is no success.
var errStatus = errors.New("the status is no success")

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead}

// MethodName is the method of a request as spans call it: one that is not well known is _OTHER.
func MethodName(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "_OTHER"
}
