package githubfake

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Alert is a secret scanning alert as a test adds it and reads it back.
type Alert struct {
	Repository  string      // owner/name; empty: acme/shop
	Number      int         // 0: the repository's next
	State       string      // open or resolved; empty: open
	Secret      leak.Secret // empty: made up
	SecretType  string      // a built-in pattern's name, or a custom pattern's slug; empty: acme_api_key
	DisplayName string      // of the type; empty: SecretType
	// Generic is set for what matches no provider's pattern: listings leave it out unless they ask for its type.
	Generic        bool
	Validity       string // active, inactive or unknown; empty: unknown
	PubliclyLeaked bool
	MultiRepo      bool
	Base64         bool
	BypassedBy     string // login of who got past push protection; empty: nobody
	AssignedTo     string // login; empty: nobody
	Resolution     string // false_positive, wont_fix, revoked, used_in_tests, pattern_edited or pattern_deleted
	Comment        string // on the resolution
	ResolvedBy     string // login
	ResolvedAt     time.Time
	CreatedAt      time.Time // zero: now
	UpdatedAt      time.Time // zero: CreatedAt
	Locations      []Location
}

type alert struct {
	Alert
	repo *repo
	id   int64 // orders alerts of the same second
}

// AddAlert adds an alert, with whatever is empty made up, and tells nobody; see [Fake.Raise]. It returns the number.
func (f *Fake) AddAlert(a Alert) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(a).Number
}

// Raise adds an alert and sends its hooks: created, and one for each location.
func (f *Fake) Raise(a Alert) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := f.put(a)
	f.happened(added, "created", f.bot())
	for _, l := range added.Locations {
		f.located(added, l)
	}
	return added.Number
}

func (f *Fake) put(a Alert) *alert {
	r := f.repository(cmp.Or(a.Repository, "acme/shop"))
	r.last = max(r.last+1, a.Number)
	a.Repository, a.Number = r.Name, cmp.Or(a.Number, r.last)
	a.State = cmp.Or(a.State, "open")
	a.SecretType = cmp.Or(a.SecretType, "acme_api_key")
	a.DisplayName = cmp.Or(a.DisplayName, a.SecretType)
	a.Validity = cmp.Or(a.Validity, "unknown")
	if a.Secret.Empty() {
		a.Secret = leak.NewSecret("acme_" + vendorfake.Random(16))
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = f.now()
	}
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt
	}
	a.Locations = slices.Clone(a.Locations)
	added := &alert{Alert: a, repo: r, id: f.nextID()}
	r.alerts[a.Number] = added
	f.changed()
	return added
}

// Alert returns an alert as it is; false: there is none.
func (f *Fake) Alert(repository string, number int) (Alert, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.lookup(repository, number)
	if a == nil {
		return Alert{}, false
	}
	return a.copied(), true
}

// Alerts returns every alert, in the order in which they were added.
func (f *Fake) Alerts() []Alert {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []*alert
	for _, r := range f.repos {
		for _, a := range r.alerts {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *alert) int { return cmp.Compare(a.id, b.id) })
	alerts := make([]Alert, len(found))
	for i, a := range found {
		alerts[i] = a.copied()
	}
	return alerts
}

func (a *alert) copied() Alert {
	copied := a.Alert
	copied.Locations = slices.Clone(a.Locations)
	return copied
}

// lookup returns an alert of a repository; nil: there is none.
func (f *Fake) lookup(repository string, number int) *alert {
	r := f.repos[strings.ToLower(repository)]
	if r == nil {
		return nil
	}
	return r.alerts[number]
}

// Remove makes an alert answer 404, as when its repository is gone.
func (f *Fake) Remove(repository string, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.lookup(repository, number); a != nil {
		delete(a.repo.alerts, number)
		f.changed()
	}
}

// bot is the account that GitHub itself acts as.
func (f *Fake) bot() object { return f.account("github", organisation).show() }
