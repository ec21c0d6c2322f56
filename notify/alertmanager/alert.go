package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// alert is one of Alertmanager's API v2, with its names:
// https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
type alert struct {
	Labels       labels      `json:"labels"`
	Annotations  annotations `json:"annotations"`
	StartsAt     time.Time   `json:"startsAt"`
	EndsAt       time.Time   `json:"endsAt,omitzero"`
	GeneratorURL string      `json:"generatorURL,omitempty"`
}

// labels are what an alert is known, grouped and routed by. All but the incident are of closed sets or configured names.
// To Alertmanager an empty label is none.
type labels struct {
	Alertname string        `json:"alertname"`
	Severity  leak.Severity `json:"severity"`
	Issuer    string        `json:"issuer,omitempty"`
	State     leak.State    `json:"state,omitempty"`
	Incident  string        `json:"incident"`
}

type annotations struct {
	Summary     string `json:"summary"`
	Description string `json:"description"`
	Link        string `json:"link,omitempty"`
}

// maxFacts bounds the characters of all facts, so that what is remembered of an alert stays well under 32 KiB.
const maxFacts = 4000

func newAlert(n notify.Notice) alert {
	name := "LeakedKey"
	if n.Count > 0 {
		name = "LeakedKeys"
	}
	return alert{
		Labels: labels{
			Alertname: name, Severity: n.Severity, Issuer: n.Incident.Issuer, State: n.Incident.State,
			Incident: n.Incident.ID.Short(),
		},
		Annotations: annotations{
			Summary: channel.Cut(n.Title, maxFacts/4), Description: describe(channel.Fit(n.Facts, maxFacts)), Link: n.Link,
		},
		StartsAt: n.At, GeneratorURL: n.Link,
	}
}

func describe(facts []notify.Fact) string {
	var b strings.Builder
	for _, fact := range facts {
		fmt.Fprintf(&b, "%s: %s\n", fact.Name, fact.Text)
	}
	return b.String()
}

// until is the alert with an end; Alertmanager refuses an end before the start.
func (a alert) until(end time.Time) alert {
	a.EndsAt = end
	if end.Before(a.StartsAt) {
		a.EndsAt = a.StartsAt
	}
	return a
}

// without is the alert as it may be remembered: where the key was seen is left out.
func (a alert) without(facts []notify.Fact, seen []leak.Sighting) alert {
	kept := slices.DeleteFunc(slices.Clone(facts), func(f notify.Fact) bool {
		return slices.ContainsFunc(seen, func(s leak.Sighting) bool {
			return s.URL != "" && strings.Contains(f.Text, s.URL) || s.Place != "" && strings.Contains(f.Text, s.Place)
		})
	})
	a.Annotations.Description = describe(channel.Fit(kept, maxFacts))
	return a
}

// send tells every Alertmanager, and succeeds when one of them has taken it: they tell each other what they sent to people,
// and what fires comes again.
func (a *alertmanager) send(ctx context.Context, alerts ...alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return fmt.Errorf("encoding alerts: %w", err)
	}
	results := make([]error, len(a.urls))
	var all sync.WaitGroup
	for i, url := range a.urls {
		all.Go(func() { results[i] = a.post(ctx, i, url, body) })
	}
	all.Wait()
	failed := slices.DeleteFunc(results, func(err error) bool { return err == nil })
	if len(failed) == len(a.urls) {
		return channel.Failed(failed...)
	}
	for _, err := range failed {
		a.log.WarnContext(ctx, "one alertmanager of several did not take alerts", "err", err)
	}
	return nil
}

func (a *alertmanager) post(ctx context.Context, i int, url string, body []byte) error {
	request, err := a.request(ctx, http.MethodPost, url+"/api/v2/alerts", body)
	if err == nil {
		err = channel.Do(a.client, request, http.StatusOK)
	}
	if err != nil {
		return fmt.Errorf("sending alerts to urls[%d]: %w", i, err)
	}
	return nil
}

func (a *alertmanager) request(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, outbound.Cause(ctx, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if a.username != "" {
		request.SetBasicAuth(a.username, a.password.Reveal())
	}
	return request, nil
}

// Examine implements [notify.Examiner]: it asks each Alertmanager for its status.
func (a *alertmanager) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	for i, url := range a.urls {
		check := fmt.Sprintf("alertmanager urls[%d]", i)
		request, err := a.request(ctx, http.MethodGet, url+"/api/v2/status", nil)
		if err == nil {
			err = channel.Do(a.client, request, http.StatusOK)
		}
		if err != nil {
			found.Broken(check, "it does not tell its status: %v", err)
			continue
		}
		found.Good(check, "it answers")
	}
	return found
}
