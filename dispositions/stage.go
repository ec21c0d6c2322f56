package dispositions

import (
	"context"
	"errors"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// What traces call the work on an incident. What it consists of is called as in metrics.
const (
	spanTurn     = "turn"      // of an alert
	spanOrder    = "order"     // a person gives one
	spanCarryOut = "carry out" // it is carried out
	spanLook     = "look"      // a second one
	spanReported = "reported"  // what a source was told is noted
	spanDecide   = "decide"
)

// stage is one part of a turn that metrics and traces tell apart.
type stage struct {
	*metrics
	name  string
	began time.Time
	span  span.Span
}

// stage begins a part of the turn. What it asks for is asked with the context that it returns.
func (t *turn) stage(ctx context.Context, name string) (context.Context, stage) {
	ctx, s := span.Start(ctx, name)
	return ctx, stage{t.metrics, name, time.Now(), s}
}

// end ends the part. That there is no such key is an answer.
func (s stage) end(err error) {
	s.turn(s.name, s.began)
	if errors.Is(err, leak.ErrNotFound) {
		err = nil
	}
	s.span.End(err)
}

// failure is what of the error of a turn makes it one that failed: what comes back when it is time, and what is refused
// to a person, has not.
func failure(err error) error {
	_, later := errors.AsType[*queue.Later](err)
	_, refused := errors.AsType[*Refusal](err)
	if later || refused {
		return nil
	}
	return err
}

// trace says in the turn's span how the incident stands.
func (t *turn) trace() {
	t.span.Set(span.Issuer, t.incident.Issuer)
	t.span.Set(span.Action, string(t.incident.Action))
	t.span.Set(span.State, string(t.incident.State))
}
