package vendorfake

import (
	"encoding/json"
	"net/http"
)

// Answer is what a call is answered with.
type Answer struct {
	Status int
	Header map[string]string
	Body   any    // see Encode; nil: none
	Raw    []byte // sent as it is
}

// Or returns an answer that is there, and otherwise what next gives.
func (a *Answer) Or(next func() *Answer) *Answer {
	if a != nil {
		return a
	}
	return next()
}

// With adds a header field to an answer.
func (a Answer) With(name, value string) Answer {
	if a.Header == nil {
		a.Header = map[string]string{}
	}
	a.Header[name] = value
	return a
}

// Encode makes JSON of the body, of the media type that the vendor calls it. It is an object of plain values, which always
// marshals.
func (a Answer) Encode(mediaType string) Answer {
	if a.Body == nil {
		return a
	}
	a.Raw, _ = json.Marshal(a.Body)
	a.Body = nil
	return a.With("Content-Type", mediaType)
}

// write sends an answer that is encoded.
func (a Answer) write(w http.ResponseWriter) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Raw) // a reader that went away needs no answer
}
