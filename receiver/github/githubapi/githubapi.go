// Package githubapi is GitHub's API as the collector uses it, for the secret scanning of one organisation: it fetches, lists,
// closes and reopens alerts, and has failed deliveries sent again. It never asks for anything of another owner, and never
// at a place that an answer or a delivery names.
package githubapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/github/githubhooks"
)

// Errors that nobody decides on; they are unresolved.
var (
	errOther     = errors.New("the answer is about another alert")
	errUnchanged = errors.New("GitHub accepts the change, but the alert is as it was")
)

// vendor implements collect.Vendor, collect.Redeliverer, collect.Selfaware and receiver.Examiner.
type vendor struct {
	org    string
	client *githubclient.Client
	hooks  *githubhooks.Hooks
	log    *slog.Logger
}

// Open makes the vendor that the collector of a source asks about one organisation. It is a collect.Redeliverer,
// a collect.Selfaware and a receiver.Examiner as well. It reads the file with our token or private key, and makes no call:
// GitHub may be down when stanch starts.
func Open(c githubclient.Config, source, organization string, log *slog.Logger) (collect.Vendor, error) {
	org := strings.ToLower(organization)
	client, err := githubclient.Open(c, org)
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: %w", source, err)
	}
	return &vendor{org, client, githubhooks.New(client, source, org), log.With("source", source)}, nil
}

// own reads a ref, and refuses one outside our organisation.
func (v *vendor) own(text string) (Ref, error) {
	r, err := parseRef(text)
	if err != nil || !r.In(v.org) {
		return Ref{}, fmt.Errorf("%w: the alert does not belong to the configured organisation", collect.ErrRefused)
	}
	return r, nil
}

// Redeliver implements collect.Redeliverer.
func (v *vendor) Redeliver(ctx context.Context, since time.Time) (int, error) {
	return v.hooks.Redeliver(ctx, since)
}

// Self implements collect.Selfaware: the login under which GitHub shows our changes.
func (v *vendor) Self(ctx context.Context) (string, error) { return v.client.Self(ctx) }
