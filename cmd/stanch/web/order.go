package web

import (
	"errors"
	"net/http"
	"strings"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// maxForm bounds what a form may send, in bytes.
const maxForm = 16 << 10

// asked is an order that waits for a person's word: what it is for, and what would follow.
type asked struct {
	Verb    dispositions.Verb
	Action  string // where the form goes
	Back    string // where to go instead
	Key     *leak.Incident
	Account ledger.Account
	Count   int // of incidents in the account
	Then    []string
	Command string
	Problem string // why it was not taken; empty: it was not given yet
	Reason  string // as it was typed
	Actor   string // empty: nobody signed in
}

// Does says in a few words what the order does.
func (a asked) Does() string {
	switch {
	case a.Key != nil:
		return does(a.Verb)
	case a.Verb == dispositions.Approve:
		return "Release all"
	}
	return "Leave all alone"
}

// does says in a word or two what an order for one incident does.
func does(v dispositions.Verb) string {
	return map[dispositions.Verb]string{
		dispositions.Approve: "Approve", dispositions.Reject: "Reject", dispositions.Undo: "Undo",
		dispositions.Retry: "Try again", dispositions.Close: "Close",
	}[v]
}

// heldVerbs are what can be ordered for an account.
var heldVerbs = []dispositions.Verb{dispositions.Approve, dispositions.Reject}

// confirm asks a person to confirm an order for one incident.
func (p *page) confirm(r *http.Request, by string) (view, error) {
	a, _, err := p.ask(r, by)
	return view{template: "order", data: a}, err
}

// ask makes the question about one incident.
func (p *page) ask(r *http.Request, by string) (a asked, id leak.Fingerprint, err error) {
	a.Actor = by
	if a.Verb, err = verb(r, dispositions.Verbs); err != nil {
		return a, "", err
	}
	if id, err = p.find(r); err != nil {
		return a, "", err
	}
	head, err := p.Ledger.Read(r.Context(), id)
	if err != nil {
		return a, "", err
	}
	a.Key, a.Back = &head.Incident, "/incidents/"+string(id)
	a.Action = a.Back + "/" + string(a.Verb)
	a.Command = compose.Command(string(a.Verb), id)
	a.Then = p.foresee(r, head.Incident, a.Verb)
	return a, id, nil
}

// foresee tells what would follow, or why nobody can tell.
func (p *page) foresee(r *http.Request, i leak.Incident, v dispositions.Verb) []string {
	seen, err := p.Sightings.Of(r.Context(), i.ID)
	if err != nil {
		return []string{"Nobody can tell now: " + err.Error() + "."}
	}
	last := leak.Sighting{Source: i.Source}
	if len(seen) > 0 {
		last = seen[len(seen)-1]
	}
	then, err := p.Orders.Foresee(r.Context(), i, last, v)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return []string{"No configured issuer knows the key now: no key would be touched."}
	case err != nil:
		return []string{"Nobody can tell now: " + err.Error() + "."}
	}
	return then
}

// confirmHeld asks a person to confirm an order for all that the fuse holds of an account.
func (p *page) confirmHeld(r *http.Request, by string) (view, error) {
	a, err := p.askHeld(r, by)
	return view{template: "order", data: a}, err
}

func (p *page) askHeld(r *http.Request, by string) (a asked, err error) {
	a.Actor = by
	if a.Verb, err = verb(r, heldVerbs); err != nil {
		return a, err
	}
	a.Account = ledger.Account{Issuer: r.FormValue("issuer"), ID: r.FormValue("account")}
	a.Count = p.Index.FusedIn()[a.Account]
	if a.Count == 0 && r.Method == http.MethodGet {
		return a, &problem{http.StatusNotFound, "the fuse holds nothing of that account"}
	}
	a.Action, a.Back = "/held/"+string(a.Verb), "/"
	a.Command = compose.CommandAll(string(a.Verb), a.Account.Issuer, a.Account.ID)
	a.Then = []string{"Every one of these keys is disabled, and that is proved; it can be undone key by key."}
	if a.Verb == dispositions.Reject {
		a.Then = []string{"Every one of these keys goes on working, for whoever found it too."}
	}
	return a, nil
}

// acting takes orders from people who signed in. It redirects to the outcome, or asks again and says what was wrong.
func (p *page) acting(act func(r *http.Request, by string) (asked, string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, err := p.Orders.Actor(r)
		if err != nil {
			p.write(w, "", p.wrong(err))
			return
		}
		a, text, err := p.act(w, r, by, act)
		switch {
		case err == nil:
			guardAgainst(w.Header())
			http.Redirect(w, r, a.Back+"?"+p.outcomes.keep(text), http.StatusSeeOther)
		case a.Back == "":
			p.write(w, by, p.wrong(err))
		default:
			wrong := p.problem(err)
			if a.Problem = wrong.text; wrong.status != http.StatusBadRequest { // then the reason may hold a secret
				a.Reason = r.PostForm.Get("reason")
			}
			p.write(w, by, view{"order", wrong.status, a})
		}
	})
}

func (p *page) act(
	w http.ResponseWriter, r *http.Request, by string, act func(*http.Request, string) (asked, string, error),
) (asked, string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		return asked{}, "", &problem{http.StatusBadRequest, "the form cannot be read"}
	}
	if err := p.wait(r.Context()); err != nil {
		return asked{}, "", err
	}
	return act(r, by)
}

func (p *page) order(r *http.Request, by string) (asked, string, error) {
	a, id, err := p.ask(r, by)
	if err != nil {
		return a, "", err
	}
	text, err := p.Orders.Order(r.Context(), id, given(r, a.Verb, by))
	return a, text, err
}

func (p *page) orderHeld(r *http.Request, by string) (asked, string, error) {
	a, err := p.askHeld(r, by)
	if err != nil {
		return a, "", err
	}
	text, err := p.Orders.OrderHeld(r.Context(), a.Account, given(r, a.Verb, by))
	return a, text, err
}

// given returns the order in a form.
func given(r *http.Request, v dispositions.Verb, by string) dispositions.Order {
	return dispositions.Order{Verb: v, By: by, Reason: strings.TrimSpace(r.PostForm.Get("reason"))}
}
