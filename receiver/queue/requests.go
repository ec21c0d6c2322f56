package queue

import "context"

// Subjects of requests to the engine.
const (
	// LabelRequests is where the receiver asks what became of secrets.
	LabelRequests = "ask.labels"
	// SightingRequests is where the notifier asks where the key of an incident was seen, because it does not hold the keys
	// of days.
	SightingRequests = "ask.sightings"
)

// Requests is request-reply between roles. Nothing of it is stored: without a reply in time, the requester goes on without
// one. Methods are safe for concurrent use.
type Requests interface {
	// Request returns the reply of one of those who reply on a subject. It waits for one to be there, because roles start
	// one after the other, and fails when ctx ends first.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// Reply replies to the requests on a subject, several at once, until ctx ends. Then it returns nil.
	Reply(ctx context.Context, subject string, reply func(ctx context.Context, data []byte) []byte) error
}
