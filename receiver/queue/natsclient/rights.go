package natsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue"
)

// violation is how a NATS server reports that it ignored a request (client.go: pubPermissionViolation and
// subPermissionViolation).
var violation = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to "([^"]+)"`)

// rights learns what the server forbids. The server does not answer a forbidden request: it reports the violation apart, so
// rights must tell whoever waits for the answer. Methods are safe for concurrent use.
type rights struct {
	log *slog.Logger

	mu       sync.Mutex
	watching map[*watch]struct{}
}

// watch is an operation that waits.
type watch struct {
	// subjects are those that it publishes or replies to. One that ends with a dot or an underscore stands for all that
	// begin with it.
	subjects []string
	cancel   context.CancelCauseFunc
}

func newRights(log *slog.Logger) *rights {
	return &rights{log: log, watching: make(map[*watch]struct{})}
}

// watch returns a context for an operation that publishes to subjects; it ends when the server forbids that. The caller must
// pass the operation's error to done, which returns it, or queue.ErrForbidden with the subject.
func (r *rights) watch(ctx context.Context, subjects ...string) (_ context.Context, done func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{subjects: subjects, cancel: cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watching[w] = struct{}{}
	return ctx, func(err error) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watching, w)
		defer cancel(nil)
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, queue.ErrForbidden) {
			return cause
		}
		return err
	}
}

// event is called with every error on the connection that belongs to no call. It logs those that nobody waits for.
func (r *rights) event(_ *nats.Conn, sub *nats.Subscription, err error) {
	verb, subject := forbidden(err)
	switch {
	case verb == "Publish" && r.deny(subject, fmt.Errorf("%w to publish to %s", queue.ErrForbidden, subject)):
	case verb == "Subscription" && r.deny(waitingOn(subject), fmt.Errorf("%w to subscribe to %s", queue.ErrForbidden, subject)):
	case sub != nil:
		r.log.Warn("nats connection", "subject", sub.Subject, "err", err)
	default:
		r.log.Warn("nats connection", "err", err)
	}
}

// forbidden reads what the server forbids; nothing when err says something else.
func forbidden(err error) (verb, subject string) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", ""
	}
	found := violation.FindStringSubmatch(err.Error())
	if found == nil {
		return "", ""
	}
	return found[1], found[2]
}

// waitingOn is the subject whose operations fail when we may not subscribe to a subject; empty: all of them, because our
// inbox receives every answer.
func waitingOn(subject string) string {
	if strings.HasPrefix(subject, "_INBOX") {
		return ""
	}
	return subject
}

// deny ends the operations that wait on a subject, and reports whether there were any. Without a subject it ends all.
func (r *rights) deny(subject string, why error) (some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watching {
		if subject == "" || w.concerns(subject) {
			w.cancel(why)
			some = true
		}
	}
	return some
}

func (w *watch) concerns(subject string) bool {
	for _, s := range w.subjects {
		open := strings.HasSuffix(s, ".") || strings.HasSuffix(s, "_")
		if s == subject || open && strings.HasPrefix(subject, s) {
			return true
		}
	}
	return false
}
