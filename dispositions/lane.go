package dispositions

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"stanch/receiver/queue"
)

// lane is the way to one issuer: it has so many turns at once and so many a second, and what finds no place waits in the
// queue. So a slow issuer holds up its own keys only.
type lane struct {
	*crowd
	pace  *rate.Limiter
	alone bool            // nobody else is held up by who waits
	over  context.Context // when it ends nobody waits any more
}

const (
	// laneWait is how long a turn waits for a place, where there are other issuers, before its alert goes back to the queue,
	// behind which others wait.
	laneWait = 100 * time.Millisecond
	// laneRest is about how long it stays there the first time. It doubles each time, up to laneRest<<laneDoublings: what
	// comes back is handed out before what is new, and must leave time for it.
	laneRest      = 2 * time.Second
	laneDoublings = 5
)

// Why an alert went back.
var (
	errCrowded = errors.New("its issuer has as many turns as it takes at once")
	errClosed  = errors.New("its issuer asked to be left alone for a while")
	errOver    = errors.New("the engine ends, or works by another configuration")
)

// newLane makes the lane of an issuer.
func newLane(over context.Context, issuer Configured, alone bool) *lane {
	limit := rate.Inf
	if issuer.Rate > 0 {
		limit = rate.Limit(issuer.Rate)
	}
	return &lane{
		crowd: newCrowd(issuer.InFlight), pace: rate.NewLimiter(limit, max(1, int(issuer.Rate))), alone: alone, over: over,
	}
}

// enter takes a place in the lane, until leave. The error is a *queue.Later, or that of ctx. Tries is how often the alert was
// handed out.
func (l *lane) enter(ctx context.Context, tries int) error {
	rest := laneRest << min(max(tries-1, 0), laneDoublings)
	var enough <-chan time.Time
	if !l.alone {
		timer := time.NewTimer(laneWait)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-l.places:
	case <-enough:
		return &queue.Later{Delay: rest/2 + rand.N(rest), Err: errCrowded}
	case <-l.over.Done():
		return &queue.Later{Err: errOver}
	case <-ctx.Done():
		return ctx.Err()
	}
	turn := l.pace.Reserve()
	wait := turn.Delay()
	if wait > laneWait && !l.alone {
		turn.Cancel()
		l.leave()
		return &queue.Later{Delay: wait + rand.N(rest), Err: errCrowded}
	}
	err := l.sleep(ctx, wait)
	if err != nil {
		turn.Cancel()
		l.leave()
	}
	return err
}

// sleep waits, unless ctx or the engine ends.
func (l *lane) sleep(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.over.Done():
		return &queue.Later{Err: errOver}
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	// standstill is for how long an issuer that wants to be left alone is waited for in the middle of a turn; when it takes
	// longer the alert goes back.
	standstill = 5 * time.Second
	// askings is how often an issuer is asked one thing that it keeps refusing for now, before that is a failure.
	askings = 4
)

// ask asks an issuer one thing. While it wants to be left alone nobody asks it anything; what it refused for now is asked
// again in a little while. A nil lane only asks.
func (l *lane) ask(ctx context.Context, question func() error) error {
	if l == nil {
		return question()
	}
	for asked := 1; ; asked++ {
		closed := l.closedFor(time.Now())
		if closed > standstill {
			return &queue.Later{Delay: closed, Err: errClosed}
		}
		if err := l.sleep(ctx, closed); err != nil {
			return err
		}
		begun := time.Now()
		err := question()
		wait := min(wish(err), longestPause)
		if wait == 0 {
			return err
		}
		l.close(begun, wait)
		if asked == askings || wait > standstill {
			return err
		}
	}
}

// visit takes a place at an issuer for the rest of the turn. A turn that has one elsewhere gives it up.
func (t *turn) visit(ctx context.Context, issuer Configured) error {
	if t.at == issuer.Name {
		return nil
	}
	t.part()
	err := issuer.lane.enter(ctx, t.tries)
	if err == nil {
		t.at, t.away = issuer.Name, issuer.lane.leave
	}
	return err
}

// visitFirst takes a place at the issuer that is asked first about the secret. Nothing of the turn is on disk before that.
func (t *turn) visitFirst(ctx context.Context) error {
	candidates := t.candidates(t.content)
	if len(candidates) == 0 || t.at != "" {
		return nil
	}
	return t.visit(ctx, candidates[0])
}

// part gives up the place at an issuer.
func (t *turn) part() {
	if t.away != nil {
		t.away()
		t.at, t.away = "", nil
	}
}
