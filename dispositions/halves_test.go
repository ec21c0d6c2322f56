package dispositions_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// paired is a cloud whose keys leak as two values: the id, which is enough to find and disable the key, and the secret, which leads to
// the id once that has leaked.
type paired struct {
	*cloud
	secretKnown func() bool
}

func (p paired) Abilities() leak.Abilities {
	able := p.cloud.Abilities()
	able.Halves = true
	return able
}

func (p paired) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	if id, isSecret := strings.CutPrefix(secret.Reveal(), "planted-secret-of-"); isSecret && p.secretKnown() {
		return p.Read(ctx, dispositions.Target{Key: leak.Key{ID: id}})
	}
	return p.cloud.Locate(ctx, secret)
}

// TestHalves: the two halves of a credential are one incident, whichever leaks first.
func TestHalves(t *testing.T) {
	other := leak.NewSecret("planted-secret-of-ApiKey-1")
	t.Run("the id first", func(t *testing.T) {
		inFakeTime(t, func(w *world) {
			issuer := paired{w.cloud, func() bool { return true }}
			stop := w.engine(w.store, issuer)
			id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
			time.Sleep(time.Minute)
			second := w.report(other, "https://example.com/1")
			time.Sleep(time.Minute)
			stop()
			stop = w.engine(w.store, issuer) // which reads the log again
			w.report(other, "https://example.com/1")
			w.report(other, "https://example.com/2")
			time.Sleep(time.Minute)
			stop()
			w.want(id, leak.Contained, leak.Disable, leak.RuleKey, "seen located decided intended proved seen seen")
			if i := w.incident(id); i.SightingCount != 3 {
				t.Errorf("%d sightings, want 3", i.SightingCount)
			}
			if i := w.incident(second); i.ID != "" {
				t.Errorf("the other half has an incident of its own: %+v", i)
			}
			if n := w.cloud.count("disable", "ApiKey-1"); n != 1 {
				t.Errorf("disabled %d times", n)
			}
			w.wantClean()
		})
	})
	t.Run("the secret first", func(t *testing.T) {
		inFakeTime(t, func(w *world) {
			var known atomic.Bool
			stop := w.engine(w.store, paired{w.cloud, known.Load})
			first := w.report(other, "https://example.com/1")
			time.Sleep(30 * time.Second)
			w.want(first, leak.Unknown, leak.Nothing, "", "seen unknown")
			id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
			time.Sleep(time.Second)
			known.Store(true)
			time.Sleep(20 * time.Minute)
			stop()
			w.want(first, leak.Closed, leak.Nothing, leak.RuleJoined, "seen unknown joined")
			w.want(id, leak.Contained, leak.Disable, leak.RuleKey, "seen located decided intended proved seen")
			if w.kept(first) {
				t.Error("the secret of an incident that joined another is kept")
			}
			w.wantClean()
		})
	})
}
