package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// ErrForbidden means that our credential may not do that. Nothing was done, and another attempt changes nothing.
var ErrForbidden = errors.New("the server does not allow it")

// violation is how a NATS server says that it ignored what we asked for (client.go: pubPermissionViolation and
// subPermissionViolation).
var violation = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to "([^"]+)"`)

// rights learns what the server forbids. It says so beside the answers, of which there is none then, so whoever waits for
// one must be told. Methods are safe for concurrent use.
type rights struct {
	log *slog.Logger

	mu       sync.Mutex
	watching map[*watch]struct{}
}

// watch is an operation that waits.
type watch struct {
	subjects []string // to which it publishes, or which it answers; one that ends with a dot or an underscore stands for all that begin so
	cancel   context.CancelCauseFunc
}

func newRights(log *slog.Logger) *rights {
	return &rights{log: log, watching: make(map[*watch]struct{})}
}

// watch returns a context for an operation that publishes to subjects, which ends when the server forbids that. The caller
// must call done with what the operation came to, which returns it, or ErrForbidden with the subject.
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
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrForbidden) {
			return cause
		}
		return err
	}
}

// event is told of everything that goes wrong on a connection outside of any call. What nobody waited for is logged.
func (r *rights) event(_ *nats.Conn, sub *nats.Subscription, err error) {
	verb, subject := forbidden(err)
	switch {
	case verb == "Publish" && r.deny(subject, fmt.Errorf("%w to publish to %s", ErrForbidden, subject)):
	case verb == "Subscription" && r.deny(waitingOn(subject), fmt.Errorf("%w to subscribe to %s", ErrForbidden, subject)):
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

// waitingOn is who waits in vain when we may not subscribe to a subject: nobody is answered when that is our inbox.
func waitingOn(subject string) string {
	if strings.HasPrefix(subject, "_INBOX") {
		return ""
	}
	return subject
}

// deny ends the operations that wait on a subject, and reports whether there were any. Without a subject it ends all.
func (r *rights) deny(subject string, why error) (any bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watching {
		if subject == "" || w.concerns(subject) {
			w.cancel(why)
			any = true
		}
	}
	return any
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
