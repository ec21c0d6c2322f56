// Package alertmanager tells Prometheus' Alertmanager of incidents, as alerts of its API v2: firing while somebody has to
// look, sent again and again because an Alertmanager keeps nothing over a restart, and resolved when nothing more has to be
// done. Alertmanager decides whom to tell and how often.
package alertmanager

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
)

type alertmanager struct {
	*channel.Book[told]
	client   *http.Client
	urls     []string
	username string
	password leak.Secret
	repeat   time.Duration
	log      *slog.Logger
	// firing are the alerts that fire, as far as they are known. They say where the keys were seen, which must not be
	// remembered for longer than the process runs. Whoever holds the book may use it.
	firing map[leak.Fingerprint]alert
}

// told is what is remembered of an incident.
type told struct {
	ID    string    `json:"id"` // of the newest notice
	At    time.Time `json:"at"`
	Alert *alert    `json:"alert,omitempty"` // that fires, without where the key was seen
}

const (
	// validFor is how long an alert fires after it was last sent: a restart of ours must not look like an end.
	validFor = 15 * time.Minute
	// newsFor is how long an incident fires that was settled when it became known.
	newsFor = time.Hour
	// groupFor is how long a group fires: nobody says when all of its incidents are settled.
	groupFor = 24 * time.Hour
)

// Notify implements [notify.Notifier]. A notice that comes again, or that a newer one has overtaken, changes nothing.
func (a *alertmanager) Notify(ctx context.Context, n notify.Notice) error {
	if n.Count > 0 {
		return a.group(ctx, n)
	}
	return a.Change(ctx, n.Incident.ID, func(last told) (told, error) {
		switch {
		case n.ID == last.ID || n.At.Before(last.At) || n.Phase == notify.Taken:
			return last, nil
		case n.Phase == notify.Opened:
			return a.fire(ctx, n, last)
		case last.Alert == nil:
			return told{ID: n.ID, At: n.At}, a.send(ctx, newAlert(n).until(time.Now().Add(newsFor)))
		}
		return a.settle(ctx, n.Incident.ID, last, n, newAlert(n).Annotations)
	})
}

// fire opens an incident's alert. The labels are what Alertmanager knows an alert by, so other labels end the one before.
func (a *alertmanager) fire(ctx context.Context, n notify.Notice, last told) (told, error) {
	next, now := newAlert(n), time.Now()
	batch := []alert{next.until(now.Add(validFor))}
	if last.Alert != nil && last.Alert.Labels != next.Labels {
		batch = append(batch, last.Alert.until(now))
	}
	if err := a.send(ctx, batch...); err != nil {
		return last, err
	}
	a.firing[n.Incident.ID] = next
	kept := next.without(n.Facts, n.Seen)
	return told{ID: n.ID, At: n.At, Alert: &kept}, nil
}

// settle ends the alert that fires for an incident, with other words where there are any.
func (a *alertmanager) settle(
	ctx context.Context, i leak.Fingerprint, last told, n notify.Notice, words annotations,
) (told, error) {
	ended := last.Alert.until(time.Now())
	if words != (annotations{}) {
		ended.Annotations = words
	}
	if err := a.send(ctx, ended); err != nil {
		return last, err
	}
	delete(a.firing, i)
	return told{ID: n.ID, At: n.At}, nil
}

// group tells of many incidents by one alert, and ends the alerts of those that are settled.
func (a *alertmanager) group(ctx context.Context, n notify.Notice) error {
	for _, m := range n.Members {
		if m.Phase != notify.Settled {
			continue
		}
		err := a.Change(ctx, m.Incident.ID, func(last told) (told, error) {
			if last.Alert == nil || n.At.Before(last.At) {
				return last, nil
			}
			return a.settle(ctx, m.Incident.ID, last, n, annotations{})
		})
		if err != nil {
			return err
		}
	}
	fires := newsFor
	if n.Phase == notify.Opened {
		fires = groupFor
	}
	return a.send(ctx, newAlert(n).until(time.Now().Add(fires)))
}

// Run implements [notify.Runner]: it sends what fires again and again.
func (a *alertmanager) Run(ctx context.Context) error {
	tick := time.NewTicker(a.repeat)
	defer tick.Stop()
	for known := false; ; {
		var err error
		if !known {
			err = a.recall(ctx)
			known = err == nil
		}
		if err == nil {
			err = a.again(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "alerts that fire could not be sent again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// recall takes over what has been firing since before the process began or since another one served the notifier, and
// drops what that one has settled.
func (a *alertmanager) recall(ctx context.Context) error {
	return a.Look(ctx, func(all map[leak.Fingerprint]told) {
		maps.DeleteFunc(a.firing, func(i leak.Fingerprint, _ alert) bool { return all[i].Alert == nil })
		for incident, t := range all {
			if _, known := a.firing[incident]; !known && t.Alert != nil {
				a.firing[incident] = *t.Alert
			}
		}
	})
}

// maxBatch is how many alerts are sent at once.
const maxBatch = 64

func (a *alertmanager) again(ctx context.Context) error {
	return a.Hold(ctx, func() error {
		firing := slices.Collect(maps.Values(a.firing))
		for i := range firing {
			firing[i] = firing[i].until(time.Now().Add(validFor))
		}
		for batch := range slices.Chunk(firing, maxBatch) {
			if err := a.send(ctx, batch...); err != nil {
				return err
			}
		}
		return nil
	})
}
