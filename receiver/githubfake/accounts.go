package githubfake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// firstID is where ids start: above 32 bits, as GitHub's are by now.
const firstID = 10_000_000_000

const (
	apiURL  = "https://api.github.example"
	htmlURL = "https://github.example"
)

// organisation is what GitHub calls the kind of account, and with a small letter the field of an event.
const organisation = "Organization"

// account is a user, a bot or an organisation.
type account struct {
	id    int64
	login string
	kind  string // User, Bot or organisation
}

// account returns the account of a login, made if there is none yet.
func (f *Fake) account(login, kind string) *account {
	a, ok := f.accounts[strings.ToLower(login)]
	if !ok {
		a = &account{id: f.nextID(), login: login, kind: kind}
		f.accounts[strings.ToLower(login)] = a
	}
	return a
}

// user shows the account of a user by login; nil for the empty login.
func (f *Fake) user(login string) any {
	if login == "" {
		return nil
	}
	return f.account(login, "User").show()
}

func (a *account) show() object {
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "type": a.kind, "site_admin": false,
		"url": apiURL + "/users/" + a.login, "html_url": htmlURL + "/" + a.login,
	}
}

// Repository is a repository as a test adds it. One that an alert or a hook names is added by itself.
type Repository struct {
	Name   string // owner/name
	Public bool
	// NoScanning turns secret scanning off: the repository's alerts answer 404.
	NoScanning bool
}

type repo struct {
	Repository
	id     int64
	owner  *account
	alerts map[int]*alert
	last   int // the highest number of an alert
}

// AddRepository adds a repository and its organisation, or changes what is there.
func (f *Fake) AddRepository(r Repository) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := f.repository(r.Name).Name
	f.repository(name).Repository = Repository{Name: name, Public: r.Public, NoScanning: r.NoScanning}
	f.changed()
}

// repository returns a repository by owner/name, made if there is none yet.
func (f *Fake) repository(name string) *repo {
	r, ok := f.repos[strings.ToLower(name)]
	if !ok {
		owner, _, _ := strings.Cut(name, "/")
		r = &repo{
			Repository: Repository{Name: name}, id: f.nextID(), owner: f.account(owner, organisation),
			alerts: map[int]*alert{},
		}
		f.repos[strings.ToLower(name)] = r
	}
	return r
}

func (r *repo) show() object {
	_, name, _ := strings.Cut(r.Name, "/")
	visibility := "private"
	if r.Public {
		visibility = "public"
	}
	return object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": name, "full_name": r.Name, "private": !r.Public,
		"owner": r.owner.show(), "url": r.apiURL(), "html_url": htmlURL + "/" + r.Name, "description": nil,
		"fork": false, "visibility": visibility, "default_branch": "main",
	}
}

func (r *repo) apiURL() string { return apiURL + "/repos/" + r.Name }

func (a *account) showOrganisation() object {
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "url": apiURL + "/orgs/" + a.login,
		"description": "",
	}
}

func (c *call) getOrganisation() *answer { return ok(c.org.showOrganisation()) }

func (c *call) getUser() *answer {
	if c.token.Login == "" {
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return ok(c.fake.user(c.token.Login))
}

// changed forgets what listings found.
func (f *Fake) changed() { clear(f.lists) }

// now is the time of the fake as GitHub writes times: in whole seconds.
func (f *Fake) now() time.Time { return f.options.Now().UTC().Truncate(time.Second) }

func (f *Fake) nextID() int64 {
	f.lastID++
	return f.lastID
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func nodeID(kind string, id int64) string {
	return base64.RawStdEncoding.EncodeToString(fmt.Appendf(nil, "%s%d", kind, id))
}
