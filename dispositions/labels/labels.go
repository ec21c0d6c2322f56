// Package labels tells the receiver what became of alerts that it has just queued, as soon as the log says so. The receiver asks
// by request-reply, and waits for as long as its source does; what is not known by then is left out.
package labels

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Labels answers questions about alerts. It is safe for concurrent use.
type Labels struct {
	ledger *ledger.Ledger
	slots  chan struct{} // one for each lookup at once

	mu      sync.Mutex
	waiting map[leak.Fingerprint][]chan<- struct{}
}

// New returns the labels of a log, which are looked up so many at once.
func New(l *ledger.Ledger, lookups int) *Labels {
	return &Labels{ledger: l, slots: make(chan struct{}, lookups), waiting: map[leak.Fingerprint][]chan<- struct{}{}}
}

// Note wakes whoever waits for news of an entry's incident.
func (l *Labels) Note(e leak.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting[e.Incident.ID] {
		select {
		case w <- struct{}{}:
		default: // it is awake
		}
	}
}

// answerAt is how long before the end of its time a question is answered with what is known by then.
const answerAt = 200 * time.Millisecond

// Run answers the receiver until ctx ends.
func (l *Labels) Run(ctx context.Context, requests queue.Requests) error {
	return requests.Reply(ctx, queue.LabelRequests, func(ctx context.Context, question []byte) []byte {
		var asked leak.Questions
		if json.Unmarshal(question, &asked) != nil {
			return nil
		}
		ctx, cancel := context.WithDeadline(ctx, asked.Until.Add(-answerAt))
		defer cancel()
		l.fill(ctx, asked.Alerts)
		answer, err := json.Marshal(asked)
		if err != nil {
			return nil
		}
		return answer
	})
}

// fill fills in the labels that are known before ctx ends.
func (l *Labels) fill(ctx context.Context, alerts []leak.Labelled) {
	var group sync.WaitGroup
	for i := range alerts {
		group.Go(func() { l.await(ctx, &alerts[i]) })
	}
	group.Wait()
}

// await waits for the last word on one alert, or until ctx ends.
func (l *Labels) await(ctx context.Context, a *leak.Labelled) {
	news := make(chan struct{}, 1)
	l.listen(a.Fingerprint, news)
	defer l.leave(a.Fingerprint, news)
	for ctx.Err() == nil {
		l.slots <- struct{}{}
		label, settled := l.of(ctx, *a)
		<-l.slots
		if a.Label = label; settled {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

// of is what the log says of an alert, and whether that is the last word. That a key is nobody's is said only of an
// alert that was looked up itself: another one of the same secret may have been shown to other issuers.
func (l *Labels) of(ctx context.Context, a leak.Labelled) (label leak.Label, settled bool) {
	head, err := l.ledger.Read(ctx, a.Fingerprint)
	if err != nil || !head.Exists() {
		return "", false
	}
	if head.Located() {
		return leak.TruePositive, true
	}
	if known, err := l.ledger.Knows(ctx, head, a.ID); err != nil || !known {
		return "", false
	}
	if head.State == leak.Unknown && head.Denied {
		return leak.FalsePositive, true
	}
	return "", head.State != leak.Open
}

// listen registers for news of an incident.
func (l *Labels) listen(f leak.Fingerprint, news chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[f] = append(l.waiting[f], news)
}

func (l *Labels) leave(f leak.Fingerprint, news chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.waiting[f][:0]
	for _, w := range l.waiting[f] {
		if w != news {
			rest = append(rest, w)
		}
	}
	if len(rest) == 0 {
		delete(l.waiting, f)
		return
	}
	l.waiting[f] = rest
}
