// Package slack writes notices to a Slack channel, as a bot of the workspace: one thread for each incident. Its first message
// is edited so that it shows how the incident stands now, and each reply keeps what was told when.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
	First   string    `json:"first,omitempty"` // Slack's name of the first message
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

// tell continues the incident's thread, or begins one.
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

// reply adds to a thread. What is critical and open is shown in the channel too, because an edit alerts nobody.
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

// post returns Slack's name of the message. Slack's client takes an answer that says nothing for success; without that name
// it is none.
func (s *slack) post(ctx context.Context, options ...api.MsgOption) (string, error) {
	_, name, _, err := s.api().SendMessageContext(ctx, s.channel, options...)
	if err == nil && name == "" {
		return "", errUnclear
	}
	return name, meaning(ctx, err)
}

// api is Slack's client for one call only, because it holds the token in a field that prints.
func (s *slack) api() *api.Client {
	return api.New(s.token.Reveal(), api.OptionHTTPClient(caller{s.client}), api.OptionAPIURL(s.url))
}

// Examine implements [notify.Examiner]: it asks Slack whose token ours is, which changes nothing. Only a message could show
// whether the channel takes one.
func (s *slack) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	const check = "slack token"
	answer, err := s.api().AuthTestContext(ctx)
	if err != nil {
		found.Broken(check, "Slack did not accept the token: %v", meaning(ctx, err))
		return found
	}
	scopes := strings.FieldsFunc(answer.Header.Get("X-Oauth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(scopes, "chat:write") {
		found.Broken(check, "Slack accepts the token, but it lacks the scope chat:write")
		return found
	}
	found.Good(check, "Slack accepts the token, and it may write")
	return found
}
