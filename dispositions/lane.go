package dispositions

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"stanch/receiver/queue"
)

// lanes keep turns at different issuers apart: each issuer has so many turns at once and so many a second, and what finds no
// place waits in the queue. So a slow issuer holds up its own keys only.
type lanes map[string]*lane

type lane struct {
	places chan struct{}
	pace   *rate.Limiter
}

const (
	// laneWait is how long a turn waits for a place before its alert goes back to the queue, behind which others wait.
	laneWait = 100 * time.Millisecond
	// laneRest is about how long it stays there the first time. It doubles each time, up to laneRest<<laneDoublings: what
	// comes back is handed out before what is new, and must leave time for it.
	laneRest      = 2 * time.Second
	laneDoublings = 5
)

// errCrowded says why an alert went back.
var errCrowded = errors.New("its issuer has as many turns as it takes at once")

// newLanes makes the lanes of issuers, each with so many places; the only issuer has all there are.
func newLanes(issuers []Configured, places int) lanes {
	if len(issuers) == 1 {
		places *= spread
	}
	l := lanes{}
	for _, issuer := range issuers {
		limit := rate.Inf
		if issuer.Rate > 0 {
			limit = rate.Limit(issuer.Rate)
		}
		l[issuer.Name] = &lane{make(chan struct{}, places), rate.NewLimiter(limit, max(1, int(issuer.Rate)))}
	}
	return l
}

// enter takes a place at an issuer, until leave. The error is a *queue.Later, or that of ctx. Tries is how often the alert was
// handed out.
func (l lanes) enter(ctx context.Context, issuer string, tries int) (leave func(), err error) {
	rest := laneRest << min(max(tries-1, 0), laneDoublings)
	at := l[issuer]
	if at == nil {
		return func() {}, nil
	}
	timer := time.NewTimer(laneWait)
	defer timer.Stop()
	select {
	case at.places <- struct{}{}:
	case <-timer.C:
		return nil, &queue.Later{Delay: rest/2 + rand.N(rest), Err: errCrowded}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-at.places }
	turn := at.pace.Reserve()
	switch wait := turn.Delay(); {
	case wait > laneWait:
		turn.Cancel()
		leave()
		return nil, &queue.Later{Delay: wait + rand.N(rest), Err: errCrowded}
	case wait > 0:
		time.Sleep(wait)
	}
	return leave, nil
}

// visit takes a place at an issuer for the rest of the turn. A turn that has one elsewhere gives it up.
func (t *turn) visit(ctx context.Context, issuer Configured) error {
	if t.at == issuer.Name {
		return nil
	}
	t.part()
	leave, err := t.lanes.enter(ctx, issuer.Name, t.tries)
	if err == nil {
		t.at, t.away = issuer.Name, leave
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
