package githubapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

// maxPlaces is how many places of one alert are reported. A file that lives through a thousand commits has a thousand
// places, each of which would be sealed, queued and stored; they say nothing new about a key that is dead already, and the
// alert's own page lists them all.
const maxPlaces = 100

// alert is a secret scanning alert with its secret. go-github's struct lacks validity, publicly_leaked, multi_repo and
// first_location_detected, and its Stringer would print the secret.
type alert struct {
	Number         int64      `json:"number"`
	HTMLURL        string     `json:"html_url"`
	SecretType     string     `json:"secret_type"`
	Secret         secretText `json:"secret"`
	Validity       string     `json:"validity"`
	PubliclyLeaked bool       `json:"publicly_leaked"`
	MultiRepo      bool       `json:"multi_repo"`
	First          details    `json:"first_location_detected"` // nil: the server does not say
}

// secretText is a secret that can be read from JSON, and from nothing else.
type secretText struct{ leak.Secret }

// UnmarshalJSON implements [json.Unmarshaler]. Its error says nothing about the text.
func (t *secretText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return githubclient.ErrUnreadable
	}
	t.Secret = leak.NewSecret(text)
	return nil
}

// Fetch implements collect.Vendor. It fetches closed alerts as well: a person who closes one does not stop containment. It
// does not depend on the places either: if they cannot be listed, there is one content with what the alert itself says.
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

// alert fetches an alert with its secret.
func (v *vendor) alert(ctx context.Context, r Ref) (alert, error) {
	const doing = "fetching the alert"
	var a alert
	_, err := v.client.Do(ctx, githubclient.Call{
		Doing: doing, Needs: githubclient.ReadAlerts,
		Send: githubclient.Raw(http.MethodGet, r.path(), nil, nil, &a), // see alert
	})
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

// places lists where a secret was seen. go-github's struct has the details of commits only, and none of the other twelve
// types of places.
func (v *vendor) places(ctx context.Context, r Ref) ([]place, error) {
	list := githubclient.List[place]{
		Call: githubclient.Call{Doing: "listing the places of the alert", Needs: githubclient.ReadAlerts},
		Do:   v.client.Do,
		Page: githubclient.RawPage[place](r.path()+"/locations", url.Values{}),
		ID:   place.id,
	}
	var all []place
	for page, err := range list.Pages(ctx) {
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

// contents is what an alert says, once for each place.
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
