// Package webhook posts notices to a receiver that anybody can write: CloudEvents 1.0 as JSON, signed as Standard Webhooks
// prescribes, so that there is a library in every language to verify and read them. It follows no redirect.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// webhook is notify.Notifier, Outsider and Follower.
type webhook struct {
	client  *http.Client
	url     leak.Secret
	signer  *standardwebhooks.Webhook
	timeout time.Duration
	inside  bool
}

// Outside implements [notify.Outsider].
func (w *webhook) Outside() bool { return !w.inside }

// Follows implements [notify.Follower]: a machine that reads events wants every state.
func (w *webhook) Follows() bool { return true }

// Notify implements [notify.Notifier].
func (w *webhook) Notify(ctx context.Context, n notify.Notice) error {
	body, err := json.Marshal(newEvent(n))
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	request, err := w.request(ctx, n.ID, body)
	if err != nil {
		return err
	}
	if err := channel.Do(w.client, request); err != nil {
		return fmt.Errorf("posting an event: %w", err)
	}
	return nil
}

// request is the signed request for an event.
func (w *webhook) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", outbound.Cause(ctx, err)) // which would hold the URL
	}
	now := time.Now()
	signature, err := w.signer.Sign(id, now, body)
	if err != nil {
		return nil, fmt.Errorf("signing an event: %w", err)
	}
	for name, value := range map[string]string{
		"Content-Type":                          "application/cloudevents+json; charset=utf-8",
		standardwebhooks.HeaderWebhookID:        id,
		standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(now.Unix(), 10),
		standardwebhooks.HeaderWebhookSignature: signature,
	} {
		request.Header.Set(name, value)
	}
	return request, nil
}
