// Package pagerduty pages people by PagerDuty's Events API v2: one alert for each incident, with the incident's id as its
// deduplication key, triggered when somebody has to look, acknowledged when a person takes the incident up, and resolved
// when nothing more has to be done. Only what was triggered is resolved.
package pagerduty

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

type pagerduty struct {
	*channel.Book[page]
	client *http.Client
	url    string
	key    leak.Secret
	least  int // rank of the lowest severity that pages
}

// page is what is remembered of an incident.
type page struct {
	At        time.Time `json:"at"` // of the newest notice
	Triggered bool      `json:"triggered,omitempty"`
}

// Outside implements [notify.Outsider]: PagerDuty is somebody else's.
func (p *pagerduty) Outside() bool { return true }

// Follows implements [notify.Follower]: a person who takes an incident up acknowledges its alert.
func (p *pagerduty) Follows() bool { return true }

// Notify implements [notify.Notifier]. A notice that a newer one has overtaken changes nothing: a retry does not trigger
// again what is settled. A group is an alert of its own, and resolves the alerts of its members that are settled.
func (p *pagerduty) Notify(ctx context.Context, n notify.Notice) error {
	for _, m := range n.Members {
		if m.Phase != notify.Settled {
			continue
		}
		if err := p.settle(ctx, notify.Notice{At: n.At, Incident: m.Incident}); err != nil {
			return err
		}
	}
	return p.Change(ctx, n.Incident.ID, func(last page) (page, error) {
		if n.At.Before(last.At) {
			return last, nil
		}
		action := p.action(n, last.Triggered)
		if action != "" {
			if err := p.send(ctx, n, action); err != nil {
				return last, err
			}
		}
		return page{At: n.At, Triggered: action == trigger || last.Triggered && action != resolve}, nil
	})
}

// settle resolves the alert of a group's member, if it has one.
func (p *pagerduty) settle(ctx context.Context, n notify.Notice) error {
	return p.Change(ctx, n.Incident.ID, func(last page) (page, error) {
		if !last.Triggered || n.At.Before(last.At) {
			return last, nil
		}
		if err := p.send(ctx, n, resolve); err != nil {
			return last, err
		}
		return page{At: n.At}, nil
	})
}

// The actions of an event.
const (
	trigger     = "trigger"
	acknowledge = "acknowledge"
	resolve     = "resolve"
)

// action is what a notice does to an incident's alert; empty: nothing.
func (p *pagerduty) action(n notify.Notice, triggered bool) string {
	switch {
	case n.Phase == notify.Opened && (triggered || ranks[n.Severity] >= p.least):
		return trigger
	case n.Phase == notify.Taken && triggered:
		return acknowledge
	case n.Phase == notify.Settled && triggered:
		return resolve
	}
	return ""
}

// send makes an event of a notice and sends it.
func (p *pagerduty) send(ctx context.Context, n notify.Notice, action string) error {
	e := newEvent(n, action)
	e.RoutingKey = p.key.Reveal()
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", outbound.Cause(ctx, err))
	}
	request.Header.Set("Content-Type", "application/json")
	if err := channel.Do(p.client, request, http.StatusAccepted); err != nil {
		return fmt.Errorf("sending PagerDuty the event %s: %w", action, err)
	}
	return nil
}
