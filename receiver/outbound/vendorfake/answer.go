package vendorfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Object is a JSON object; a nil value reads null.
type Object map[string]any

// Null is null instead of an empty string.
func Null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Flat is a header with one value a field, as vendors list what they sent and got.
func Flat(header http.Header) map[string]string {
	plain := map[string]string{}
	for name := range header {
		plain[name] = header.Get(name)
	}
	return plain
}

// Answer is the answer to a call.
type Answer struct {
	Status int
	Header map[string]string
	Body   any    // JSON, see [Answer.Encode]; nil: none
	Raw    []byte // bytes that are sent as they are
}

// Or returns the answer, or what next gives when there is none yet.
func (a *Answer) Or(next func() *Answer) *Answer {
	if a != nil {
		return a
	}
	return next()
}

// With returns the answer with another header field.
func (a Answer) With(name, value string) Answer {
	if a.Header == nil {
		a.Header = map[string]string{}
	}
	a.Header[name] = value
	return a
}

// Encode turns the body into JSON, under the vendor's media type for it. The body must be a value that marshals.
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

// Links are the URLs of other pages of a list, by relation, such as next.
type Links map[string]string

// Add adds a link: the request's own URL with another page or cursor.
func (l Links) Add(r *http.Request, relation, name, value string) {
	query := r.URL.Query()
	for _, other := range []string{"page", "after", "before", "cursor"} {
		query.Del(other)
	}
	query.Set(name, value)
	l[relation] = "http://" + r.Host + r.URL.EscapedPath() + "?" + query.Encode()
}

// Header is the links as the Link field of an answer; empty: there are none.
func (l Links) Header() string {
	var links []string
	for _, relation := range []string{"prev", "next", "first", "last"} {
		if url, ok := l[relation]; ok {
			links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, url, relation))
		}
	}
	return strings.Join(links, ", ")
}
