package githubapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// maxPlaces is how many places of one alert are told of. A file that lives through a thousand commits has a thousand
// places, each of which would be sealed, queued and kept on disk; they say nothing new of a key that is dead already,
// and the alert's own page has them all.
const maxPlaces = 100

// alert is a secret scanning alert with its secret, which go-github's own struct would print.
type alert struct {
	Number         int64      `json:"number"`
	HTMLURL        string     `json:"html_url"`
	State          string     `json:"state"`
	SecretType     string     `json:"secret_type"`
	Secret         secretText `json:"secret"`
	Validity       string     `json:"validity"`
	PubliclyLeaked bool       `json:"publicly_leaked"`
	MultiRepo      bool       `json:"multi_repo"`
	First          details    `json:"first_location_detected"` // nil: the server does not say
}

// Fetch implements collect.Vendor. Alerts that are closed are fetched like others: a human closing one does not stop
// containment. Neither does it wait for the places: when they cannot be had, there is one content with what the alert
// itself says.
func (v *vendor) Fetch(ctx context.Context, text string) ([]leak.Content, error) {
	r, err := v.own(text)
	if err != nil {
		return nil, err
	}
	a, err := v.alert(ctx, r)
	if err != nil {
		return nil, err
	}
	seen, err := v.places(ctx, r)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		v.log.WarnContext(ctx, "the places of an alert are not known", "ref", text, "err", err)
	}
	if len(seen) == 0 {
		seen = []place{a.first()}
	}
	return a.contents(r, seen), nil
}

// alert asks for an alert with its secret.
func (v *vendor) alert(ctx context.Context, r Ref) (alert, error) {
	const doing = "fetching the alert"
	var a alert
	_, err := v.ask(ctx, request{doing: doing, method: http.MethodGet, path: r.path(), into: &a, needs: readAlerts})
	if err != nil {
		return alert{}, err
	}
	if a.Number != r.number {
		return alert{}, fmt.Errorf("%s: %w", doing, errOther)
	}
	if a.Secret.Empty() {
		return alert{}, fmt.Errorf("%s: %w: GitHub leaves out the secret; our token needs the scope security_events, "+
			"or the permission to read secret scanning alerts", doing, collect.ErrRefused)
	}
	return a, nil
}

// places asks where a secret was seen.
func (v *vendor) places(ctx context.Context, r Ref) ([]place, error) {
	l := listing{ask: v.ask, request: request{
		doing: "listing the places of the alert", method: http.MethodGet, path: r.path() + "/locations",
		query: url.Values{"per_page": {perPage}}, needs: readAlerts,
	}}
	var all []place
	for page, err := range pages[place](ctx, l) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
		if len(all) >= maxPlaces {
			return all[:maxPlaces], nil
		}
	}
	return all, nil
}

// contents says what an alert says, once for every place.
func (a alert) contents(r Ref, seen []place) []leak.Content {
	all := make([]leak.Content, len(seen))
	for i, p := range seen {
		all[i] = leak.Content{
			Secret: a.Secret.Secret, Type: a.SecretType, URL: a.link(p), Place: p.Type, Ref: r.String(), Marks: a.marks(),
		}
	}
	return all
}

func (a alert) marks() leak.Marks {
	marks := leak.Marks{Public: a.PubliclyLeaked, Several: a.MultiRepo}
	switch a.Validity {
	case "active", "inactive", "unknown":
		marks.Validity = a.Validity
	}
	return marks
}
