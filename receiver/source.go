package receiver

import (
	"context"
	"errors"
	"net/http"

	"stanch/receiver/leak"
)

// Errors of sources that decide the answer to a delivery. Nothing else about the delivery is told to the sender.
var (
	// ErrUnverified means that the delivery is not proved to be the source's: 401.
	ErrUnverified = errors.New("the delivery is not verified")
	// ErrUnavailable means that nobody can tell now, for lack of a usable public key: 503, so that it is sent again.
	ErrUnavailable = errors.New("verification is unavailable")
	// ErrFormat means that a verified delivery is not the format at all: 400.
	ErrFormat = errors.New("the delivery is not in the source's format")
	// ErrIgnored means that a verified delivery says nothing that anybody acts on: 204, and nothing is stored.
	ErrIgnored = errors.New("the delivery is ignored")
)

// Source is a feed of deliveries. An adapter knows what is unique to its vendor: where the proof of origin is, how it is
// checked, how a body reads. Limits, sealing, queueing, answers and metrics are the Handler's. Methods are safe for
// concurrent use, and no error of theirs holds a part of the delivery.
type Source interface {
	// Admit looks at the header alone, before a byte of the body is read: ErrUnverified when the proof of origin is
	// missing or cannot be one.
	Admit(header http.Header) error
	// Verify checks the proof over the raw body. Nothing of the body is parsed, stored or logged before it returns nil.
	// It returns an error that wraps ErrUnverified or ErrUnavailable.
	Verify(ctx context.Context, header http.Header, body []byte) error
	// Parse reads a verified body. One bad record is a Bad of its own and never costs the rest; an error wraps
	// ErrFormat, ErrTooMany or ErrIgnored and is about the body as a whole.
	Parse(header http.Header, body []byte) (Parsed, error)
}

// Parsed is what a delivery says.
type Parsed struct {
	Found    []leak.Content
	Pointers []leak.Pointer // Ref and Event, a few hundred bytes together at most; the Handler fills in the rest
	Bad      []Bad
}

// Bad is one record that cannot be read: it goes to the dead letters, sealed.
type Bad struct {
	Raw    leak.Secret // the record as it came
	Reason string      // for people; holds nothing of the record
}

// MediaTyper is a Source that takes other bodies beside plain JSON.
type MediaTyper interface {
	// MediaTypes lists their content types, in lower case and without parameters.
	MediaTypes() []string
}

// Pather is a Source that answers at further paths, below its own.
type Pather interface {
	// Paths are these, without a slash in front. One with a document is read: a GET that Admit and Verify take is answered
	// with the document, which is JSON. One with an empty document takes deliveries, as the source's own path does.
	Paths() map[string]string
}

// Rememberer is a Source that refuses a delivery which it took before.
type Rememberer interface {
	// Remember is told the header of a verified delivery when nothing of it can be lost any more: all of it is on disk, or it
	// is ignored. A delivery that could not be stored is not remembered, because it must be sent again.
	Remember(header http.Header)
}

// Runner is a Source that has work of its own to do while it is served, such as keeping public keys fresh.
type Runner interface {
	// Run blocks until ctx ends and then returns nil.
	Run(ctx context.Context) error
}

// Starter is a Runner that can verify nothing before its Run has fetched something.
type Starter interface {
	Runner
	// Ready is closed when the source can verify deliveries. It may never be: a server can be down.
	Ready() <-chan struct{}
}

// Examiner is a Source that can say how it stands with what it depends on, such as its key server. Examine changes
// nothing and is bounded in time by ctx. Its findings hold no secret, no credential of ours and no URL.
type Examiner interface {
	Examine(ctx context.Context) []leak.Finding
}
