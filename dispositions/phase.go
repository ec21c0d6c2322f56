package dispositions

import (
	"context"
	"errors"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// The phases that phase_duration_seconds and traces tell apart. Recording is a part of announcing and of settling.
const (
	phaseLocate   = "locate"
	phaseAnnounce = "announce"
	phaseAct      = "act"
	phaseProve    = "prove"
	phaseRecord   = "record"
)

// What traces call a reconcile, by its reason.
var spanNames = map[reason]string{
	sighted: "reconcile", retried: "retry", expired: "expire", givenUp: "give up", ordered: "order", carriedOut: "carry out",
	reported: "reported", rechecked: "recheck",
}

const spanDecide = "decide"

// phase is one part of a reconcile that metrics and traces tell apart.
type phase struct {
	*metrics
	name  string
	began time.Time
	span  span.Span
}

// phase begins a part of the pass. What it asks for is asked with the context that it returns.
func (p *pass) phase(ctx context.Context, name string) (context.Context, phase) {
	ctx, s := span.Start(ctx, name)
	return ctx, phase{p.engine.metrics, name, time.Now(), s}
}

// end ends the part. That there is no such key is an answer.
func (s phase) end(err error) {
	s.metrics.phase(s.name, s.began)
	if errors.Is(err, leak.ErrNotFound) {
		err = nil
	}
	s.span.End(err)
}
