package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"sync"
)

// maxOutcomes is how many outcomes are remembered; each is shown within a second, or never.
const maxOutcomes = 100

// outcomes keeps the sentences about the outcome of orders, under random names, because anybody could write a sentence into a
// link. The zero value is ready for use.
type outcomes struct {
	mu    sync.Mutex
	texts map[string]string
	names []string // oldest first
}

// keep remembers a text and returns the query that shows it.
func (o *outcomes) keep(text string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.texts == nil {
		o.texts = map[string]string{}
	}
	name := rand.Text()
	o.texts[name] = text
	if o.names = append(o.names, name); len(o.names) > maxOutcomes {
		delete(o.texts, o.names[0])
		o.names = o.names[1:]
	}
	return url.Values{"outcome": {name}}.Encode()
}

// of is the text that a request asks for; empty: there is none.
func (o *outcomes) of(r *http.Request) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.texts[r.URL.Query().Get("outcome")]
}
