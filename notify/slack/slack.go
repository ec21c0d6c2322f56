// Package slack writes notices into a channel of Slack, by a bot of the workspace: one thread an incident, whose first
// message is edited so that it shows how the incident stands now, while each reply keeps what was told when.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	api "github.com/slack-go/slack"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
)

type slack struct {
	*channel.Book[thread]
	client  *http.Client
	url     string
	token   leak.Secret
	channel string
}

// thread is what is remembered of an incident.
type thread struct {
	Channel string    `json:"channel,omitempty"`
	First   string    `json:"first,omitempty"` // what Slack calls the first message
	At      time.Time `json:"at"`              // of the notice that the first message shows
	Told    []string  `json:"told,omitempty"`  // ids of the newest notices, so that none is told twice
}

// maxTold is how many notices are remembered: more than can be under way at once.
const maxTold = 8

// Outside implements [notify.Outsider]: Slack is somebody else's.
func (s *slack) Outside() bool { return true }

// Follows implements [notify.Follower]: the thread says who took the incident up.
func (s *slack) Follows() bool { return true }

// Notify implements [notify.Notifier]. A notice that is known already is not told again.
func (s *slack) Notify(ctx context.Context, n notify.Notice) error {
	return s.Change(ctx, n.Incident.ID, func(last thread) (thread, error) {
		if slices.Contains(last.Told, n.ID) {
			return last, nil
		}
		next, err := s.tell(ctx, n, last)
		if errors.Is(err, errLost) {
			next, err = s.begin(ctx, n)
		}
		if err != nil {
			return last, err
		}
		next.Told = append(slices.Clone(last.Told), n.ID)
		next.Told = next.Told[max(0, len(next.Told)-maxTold):]
		return next, nil
	})
}

// tell goes on with the incident's thread, if there is one.
func (s *slack) tell(ctx context.Context, n notify.Notice, last thread) (thread, error) {
	if last.First == "" || last.Channel != s.channel {
		return s.begin(ctx, n)
	}
	if n.Phase != notify.Taken && !n.At.Before(last.At) {
		if err := s.edit(ctx, n, last.First); err != nil {
			return last, err
		}
		last.At = n.At
	}
	return last, s.reply(ctx, n, last.First)
}

func (s *slack) begin(ctx context.Context, n notify.Notice) (thread, error) {
	first, err := s.post(ctx, message(n))
	if err != nil {
		return thread{}, fmt.Errorf("posting to slack: %w", err)
	}
	return thread{Channel: s.channel, First: first, At: n.At}, nil
}

func (s *slack) edit(ctx context.Context, n notify.Notice, first string) error {
	if _, err := s.post(ctx, message(n), api.MsgOptionUpdate(first)); err != nil {
		return fmt.Errorf("editing a message of slack: %w", err)
	}
	return nil
}

// reply adds to a thread. What is critical and open again is shown in the channel too, where an edit tells nobody.
func (s *slack) reply(ctx context.Context, n notify.Notice, first string) error {
	options := []api.MsgOption{message(n), api.MsgOptionTS(first)}
	if n.Phase == notify.Opened && n.Severity == leak.Critical {
		options = append(options, api.MsgOptionBroadcast())
	}
	if _, err := s.post(ctx, options...); err != nil {
		return fmt.Errorf("replying in slack: %w", err)
	}
	return nil
}

// post returns what Slack calls the message. Slack's client takes an answer that says nothing for success; without that
// name it is none.
func (s *slack) post(ctx context.Context, options ...api.MsgOption) (string, error) {
	_, name, _, err := s.api().SendMessageContext(ctx, s.channel, options...)
	if err == nil && name == "" {
		return "", errUnclear
	}
	return name, meaning(ctx, err)
}

// api is Slack's client for one call: it holds the token in a field that prints.
func (s *slack) api() *api.Client {
	return api.New(s.token.Reveal(), api.OptionHTTPClient(caller{s.client}), api.OptionAPIURL(s.url))
}
