package receiver

import (
	"context"
	"errors"
	"net/http"

	"stanch/receiver/leak"
)

// MaxRecords is how many records a delivery may hold whatever the limits say: a source that counts more while it parses
// returns ErrTooMany rather than fill the memory.
const MaxRecords = 100_000

// Errors of sources that decide the answer to a delivery. The sender is told nothing else.
var (
	// ErrUnverified means that nothing proves that the delivery comes from the source: 401.
	ErrUnverified = errors.New("the delivery is not verified")
	// ErrUnavailable means that nobody can verify the delivery now, because no public key is usable: 503, so that the sender
	// tries again.
	ErrUnavailable = errors.New("verification is unavailable")
	// ErrFormat means that a verified delivery is not in the format at all: 400.
	ErrFormat = errors.New("the delivery is not in the source's format")
	// ErrTooMany means that a verified delivery holds more records than MaxRecords: 413.
	ErrTooMany = errors.New("the delivery holds too many records")
	// ErrIgnored means that a verified delivery says nothing that we act on: 204, and nothing is stored.
	ErrIgnored = errors.New("the delivery is ignored")
)

// Source is a feed of deliveries. An adapter knows what is unique to its vendor: where the proof of origin is, how to
// check it, how to read a body. Limits, sealing, queueing, answers and metrics belong to the Handler. Methods are safe for
// concurrent use, and their errors hold nothing of the delivery.
type Source interface {
	// Admit sees the header alone, before a byte of the body is read. It returns ErrUnverified when the proof of origin is
	// missing or malformed.
	Admit(header http.Header) error
	// Verify checks the proof over the raw body. Nothing of the body is parsed, stored or logged before it returns nil.
	// Its error wraps ErrUnverified or ErrUnavailable.
	Verify(ctx context.Context, header http.Header, body []byte) error
	// Parse reads a verified body. A bad record becomes a Bad and never costs the others; an error concerns the body as a
	// whole and wraps ErrFormat, ErrTooMany or ErrIgnored.
	Parse(header http.Header, body []byte) (Parsed, error)
}

// Parsed is what a delivery says.
type Parsed struct {
	Found    []leak.Content
	Pointers []leak.Pointer // Ref and Event, a few hundred bytes together at most; the Handler fills in the rest
	Bad      []Bad
}

// Bad is one record that cannot be read. It goes to the dead letters, sealed.
type Bad struct {
	Raw    leak.Secret // the record as it came
	Reason string      // for people; holds nothing of the record
}

// MediaTyper is a Source that accepts other bodies beside plain JSON.
type MediaTyper interface {
	// MediaTypes lists their content types, in lower case and without parameters.
	MediaTypes() []string
}

// Pather is a Source that also answers at paths below its own.
type Pather interface {
	// Paths maps each path, without a leading slash, to a document. A path with a document is for reading: a GET that passes
	// Admit and Verify is answered with the document, which is JSON. A path with an empty document takes deliveries, as
	// the source's own path does.
	Paths() map[string]string
}

// Rememberer is a Source that refuses a delivery it has taken before.
type Rememberer interface {
	// Remember is given the header of a verified delivery once nothing of it can be lost any more: all of it is on disk, or
	// it is ignored. A delivery that could not be stored is not remembered, because it must be sent again.
	Remember(header http.Header)
}

// Labeller is a Source whose sender wants the answer to say what the reported secrets were.
type Labeller interface {
	// Feedback writes the body of the answer, which is JSON; nil means that there is nothing to tell. labels has one entry
	// for each of found; a secret whose label is empty is left out.
	Feedback(found []leak.Content, labels []leak.Label) []byte
	// WantsFeedback reports whether the configuration asks for it.
	WantsFeedback() bool
}

// Runner is a Source with work of its own to do while it is served, such as keeping public keys fresh.
type Runner interface {
	// Run blocks until ctx ends and then returns nil.
	Run(ctx context.Context) error
}

// Starter is a Runner that can verify nothing before its Run has fetched something.
type Starter interface {
	Runner
	// Ready is closed when the source can verify deliveries. That may never happen: a server can be down.
	Ready() <-chan struct{}
}

// Examiner is a Source that can report on what it depends on, such as its key server. Examine changes nothing and stops
// when ctx ends. Its findings hold no secret, no credential of ours and no URL.
type Examiner interface {
	Examine(ctx context.Context) []leak.Finding
}
