package dispositions

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// labels tells the receiver what became of alerts that it has just queued, as soon as the log says so.
type labels struct {
	mu      sync.Mutex
	waiting map[leak.Fingerprint][]chan<- struct{}
}

// note wakes whoever waits for news of an incident.
func (l *labels) note(e leak.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting[e.Incident.ID] {
		select {
		case w <- struct{}{}:
		default: // it is awake
		}
	}
}

// listen registers for news of an incident.
func (l *labels) listen(f leak.Fingerprint, news chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[leak.Fingerprint][]chan<- struct{}{}
	}
	l.waiting[f] = append(l.waiting[f], news)
}

func (l *labels) leave(f leak.Fingerprint, news chan<- struct{}) {
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

// answerAt is how long before the end of its time a question is answered with what is known by then.
const answerAt = 200 * time.Millisecond

// answerLabels answers the receiver until ctx ends.
func (e *Engine) answerLabels(ctx context.Context) error {
	return e.Requests.Reply(ctx, queue.LabelRequests, func(ctx context.Context, question []byte) []byte {
		var asked leak.Questions
		if json.Unmarshal(question, &asked) != nil {
			return nil
		}
		ctx, cancel := context.WithDeadline(ctx, asked.Until.Add(-answerAt))
		defer cancel()
		e.label(ctx, asked.Alerts)
		answer, err := json.Marshal(asked)
		if err != nil {
			return nil
		}
		return answer
	})
}

// label fills in the labels that are known before ctx ends.
func (e *Engine) label(ctx context.Context, alerts []leak.Labelled) {
	var group sync.WaitGroup
	slots := make(chan struct{}, e.Workers)
	for i := range alerts {
		group.Go(func() {
			news := make(chan struct{}, 1)
			e.labels.listen(alerts[i].Fingerprint, news)
			defer e.labels.leave(alerts[i].Fingerprint, news)
			for ctx.Err() == nil {
				slots <- struct{}{}
				label, settled := e.labelOf(ctx, alerts[i])
				<-slots
				if alerts[i].Label = label; settled {
					return
				}
				select {
				case <-news:
				case <-ctx.Done():
				}
			}
		})
	}
	group.Wait()
}

// labelOf is what the log says of an alert, and whether that is the last word. That a key is nobody's is said only of an
// alert that was looked up itself: another one of the same secret may have been shown to other issuers.
func (e *Engine) labelOf(ctx context.Context, a leak.Labelled) (label leak.Label, settled bool) {
	head, err := e.Ledger.Read(ctx, a.Fingerprint)
	if err != nil || !head.Exists() {
		return "", false
	}
	if head.Key.ID != "" {
		return leak.TruePositive, true
	}
	if known, err := e.Ledger.Knows(ctx, head, a.ID); err != nil || !known {
		return "", false
	}
	if head.State == leak.Unknown && head.Denied {
		return leak.FalsePositive, true
	}
	return "", head.State != leak.Open
}
