package slack

import (
	"context"
	"slices"
	"strings"

	"stanch/receiver/leak"
)

// Examine implements [notify.Examiner]: it asks Slack whose token ours is, which changes nothing. Whether the channel takes
// a message only a message can show.
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
