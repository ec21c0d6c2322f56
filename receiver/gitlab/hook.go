package gitlab

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabapi"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
)

// hookTokenHeader is the header field with the token, as GitLab's documentation of webhooks names it. Another field names the
// event; we ignore it, because the body itself tells.
const hookTokenHeader = "X-Gitlab-Token"

// hook is what all sources of type gitlab_webhook have in common: the format of the body.
type hook struct{ scope scope }

// signedHook is a source whose deliveries are signed.
type signedHook struct {
	*signing
	hook
	idle int // how many secret tokens are configured as well, without effect
}

// plainHook is a source of GitLab before version 19.0, whose deliveries hold a token in plain text.
type plainHook struct {
	sharedTokens
	hook
}

// Open makes the source. It reads the files with the tokens, and makes no call.
func (c *HookConfig) Open(string, *slog.Logger, prometheus.Registerer) (receiver.Source, error) {
	h := hook{scope{c.Group, c.API.Root()}}
	if len(c.SigningTokenFiles) == 0 {
		tokens, err := readTokens("secret_token_files", c.SecretTokenFiles)
		if err != nil {
			return nil, err
		}
		return &plainHook{sharedTokens{hookTokenHeader, tokens}, h}, nil
	}
	keys := make([]leak.Secret, len(c.SigningTokenFiles))
	for i, file := range c.SigningTokenFiles {
		var err error
		if keys[i], err = readSigningToken(file); err != nil {
			return nil, fmt.Errorf("reading signing_token_files[%d], which %w", i, err)
		}
	}
	return &signedHook{&signing{keys, newSeen()}, h, len(c.SecretTokenFiles)}, nil
}

// OpenVendor makes the vendor that the source's collector asks, as gitlabapi.Open does.
func (c *HookConfig) OpenVendor(name string, log *slog.Logger) (collect.Vendor, error) {
	return gitlabapi.Open(c.API, name, c.Group, log)
}

// Examine implements receiver.Examiner.
func (h *signedHook) Examine(context.Context) []leak.Finding {
	var found leak.Findings
	found.Good("proof", "deliveries are signed, with any of %d signing tokens", len(h.keys))
	if h.idle > 0 {
		found.Doubt("secret tokens", "they have no effect beside signing tokens, and can be removed")
	}
	return found
}

// Examine implements receiver.Examiner.
func (h *plainHook) Examine(context.Context) []leak.Finding {
	var found leak.Findings
	found.Doubt("proof", "deliveries hold a token in plain text, and whoever sees one can forge others: GitLab signs since 19.0")
	return found
}

// Parse reads one event. Nothing in the header is proved; only the chain of events is taken from it.
func (h hook) Parse(header http.Header, body []byte) (receiver.Parsed, error) {
	parsed, err := h.scope.parse(body)
	for i := range parsed.Pointers {
		parsed.Pointers[i].Cause = chain(header)
	}
	return parsed, err
}

// chainForm is the form of the name of a chain of calls and events.
var chainForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// chain returns the chain that a delivery says it belongs to; empty: none. GitLab passes it on from a call of its API to the
// events that the call causes.
func chain(header http.Header) string {
	value, err := once(header, gitlabclient.ChainHeader)
	if err != nil || !chainForm.MatchString(value) {
		return ""
	}
	return value
}
