package slack

import (
	"context"
	"errors"
	"net/http"

	api "github.com/slack-go/slack"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// What Slack's refusals mean, in our own words.
var (
	errToken   = errors.New("slack refuses the token, or the scope chat:write is missing")
	errChannel = errors.New("there is no such channel, or the app may not write there")
	errForm    = errors.New("slack refuses the message's form")
	errUnclear = errors.New("slack refuses the call, and nobody classified why")
	errOff     = errors.New("slack does not work at the moment")
	// errLost means that a message can no longer be edited or replied to, because somebody deleted it, for example.
	errLost = errors.New("the message is not there any more")
)

// refusals are what Slack's error codes mean where a retry alone cannot help:
// https://docs.slack.dev/reference/methods/chat.postMessage and chat.update.
var refusals = map[string]error{
	"invalid_auth": errToken, "not_authed": errToken, "account_inactive": errToken, "token_revoked": errToken,
	"token_expired": errToken, "missing_scope": errToken, "no_permission": errToken, "not_allowed_token_type": errToken,
	"org_login_required": errToken, "ekm_access_denied": errToken, "access_denied": errToken,
	"team_access_not_granted": errToken,
	"channel_not_found":       errChannel, "not_in_channel": errChannel, "is_archived": errChannel,
	"restricted_action": errChannel, "restricted_action_read_only_channel": errChannel,
	"restricted_action_thread_only_channel": errChannel, "restricted_action_thread_locked": errChannel,
	"restricted_action_non_threadable_channel": errChannel, "messages_tab_disabled": errChannel,
	"invalid_blocks": errForm, "invalid_blocks_format": errForm, "msg_too_long": errForm, "msg_blocks_too_long": errForm,
	"no_text": errForm, "invalid_arguments": errForm, "invalid_form_data": errForm, "invalid_charset": errForm,
}

// passing are codes that do not refuse the notice for good.
var passing = map[string]error{
	"message_not_found": errLost, "cant_update_message": errLost, "edit_window_closed": errLost,
	"thread_not_found": errLost, "cannot_reply_to_message": errLost,
	"internal_error": errOff, "fatal_error": errOff, "service_unavailable": errOff, "request_timeout": errOff,
	"team_added_to_org": errOff,
}

// caller sends the requests of Slack's client. An answer other than 200 is an error already here: the client keeps neither
// its Retry-After nor its cause.
type caller struct{ *http.Client }

// Do sends a request.
func (c caller) Do(r *http.Request) (*http.Response, error) {
	response, err := c.Client.Do(r)
	if err != nil {
		return nil, &unanswered{outbound.Cause(r.Context(), err)}
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, &unanswered{channel.Answered(response.StatusCode, response.Header)}
	}
	return response, nil
}

// unanswered is the error of a call that Slack's API did not answer.
type unanswered struct{ error }

// meaning turns an error of Slack's client into one of ours, without anything that Slack answered.
func meaning(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if none, ok := errors.AsType[*unanswered](err); ok {
		return none.error
	}
	if refusal, ok := errors.AsType[api.SlackErrorResponse](err); ok {
		return classify(refusal.Err)
	}
	return outbound.Cause(ctx, err)
}

func classify(code string) error {
	if code == "ratelimited" || code == "rate_limited" || code == "message_limit_exceeded" {
		return &leak.Throttled{Err: channel.Status(http.StatusTooManyRequests)}
	}
	if means, ok := refusals[code]; ok {
		return &notify.Refused{Err: means}
	}
	if means, ok := passing[code]; ok {
		return means
	}
	return errUnclear
}
