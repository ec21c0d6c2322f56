package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

const (
	perPage    = 50 // incidents in the list
	perGroup   = 5  // incidents of each kind that needs somebody
	reloadHome = 30 // seconds
	maxSearch  = 200
)

// home shows what needs somebody, what happened lately, and how the service is doing.
type home struct {
	Actor    string // empty: nobody signed in
	Said     string // what came of the order that led here
	Groups   []group
	Fused    []fused
	Counts   []count
	Search   search
	List     []ledger.Head
	Older    string // the address of the next part of the list; empty: there is none
	Standing standing
}

// group are incidents that need somebody.
type group struct {
	State leak.State
	Says  string
	Count int
	List  []ledger.Head
}

// fused is how many incidents the fuse holds in an account.
type fused struct {
	ledger.Account
	Count int
}

// count is how many incidents are in a state.
type count struct {
	State leak.State
	Count int
}

// search is what the reader asked the list for.
type search struct {
	State  leak.State
	Text   string
	After  leak.Fingerprint
	States []leak.State
	Calm   bool // the page is not to reload
}

// Any reports whether the list is not simply the newest incidents.
func (s search) Any() bool { return s.State != "" || s.Text != "" || s.After != "" }

// With is the address of the same search, after an incident.
func (s search) With(after leak.Fingerprint) string { return s.address(after, s.Calm) }

// Turned is the address of the same search that reloads by itself, or does not any more.
func (s search) Turned() string { return s.address(s.After, !s.Calm) }

func (s search) address(after leak.Fingerprint, calm bool) string {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("state", string(s.State))
	set("q", s.Text)
	set("after", string(after))
	if calm {
		set("reload", "off")
	}
	return "/?" + values.Encode()
}

func (h home) refresh() int {
	if h.Search.Calm {
		return 0
	}
	return reloadHome
}

func (p *page) home(r *http.Request, by string) (view, error) {
	s, err := searched(r.URL.Query())
	if err != nil {
		return view{}, err
	}
	h := home{Actor: by, Said: p.outcomes.of(r), Search: s, Fused: p.fused()}
	counts := p.Index.Counts()
	for _, state := range leak.States {
		h.Counts = append(h.Counts, count{state, counts[state]})
	}
	if h.Groups, err = p.groups(r.Context(), counts); err != nil {
		return view{}, err
	}
	if err := p.list(r.Context(), &h); err != nil {
		return view{}, err
	}
	h.Standing = p.standing()
	return view{template: "home", data: h}, nil
}

// searched reads ?state=, ?q=, ?after= and ?reload=.
func searched(values url.Values) (search, error) {
	s := search{
		State: leak.State(values.Get("state")), Text: values.Get("q"), After: leak.Fingerprint(values.Get("after")),
		States: leak.States, Calm: values.Get("reload") == "off",
	}
	if s.State != "" && !slices.Contains(leak.States, s.State) {
		return s, &problem{http.StatusBadRequest, fmt.Sprintf("state must be one of %v", leak.States)}
	}
	if len(s.Text) > maxSearch {
		return s, &problem{http.StatusBadRequest, "that is too long to look for"}
	}
	return s, nil
}

// needs are the states that need somebody, the most urgent first, and what each means.
var needs = []struct {
	state leak.State
	says  string
}{
	{leak.Failed, "What was to be done did not succeed: it is tried again, and the key may work."},
	{leak.Held, "Waits for a person to approve or reject it."},
	{leak.Unknown, "No issuer knows the key: if you know whose it is, revoke it there."},
}

func (p *page) groups(ctx context.Context, counts map[leak.State]int) (all []group, err error) {
	for _, need := range needs {
		if counts[need.state] == 0 {
			continue
		}
		g := group{State: need.state, Says: need.says, Count: counts[need.state]}
		if g.List, err = p.heads(ctx, ledger.Query{State: need.state, Limit: perGroup}); err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// heads are incidents as they stand, without their steps: a list reads one message an incident.
func (p *page) heads(ctx context.Context, q ledger.Query) ([]ledger.Head, error) {
	return p.Ledger.Heads(ctx, p.Index.IDs(q)...)
}

// list fills in the part of the list that was asked for.
func (p *page) list(ctx context.Context, h *home) (err error) {
	h.List, err = p.heads(ctx, ledger.Query{State: h.Search.State, Text: h.Search.Text, After: h.Search.After, Limit: perPage + 1})
	if err == nil && len(h.List) > perPage {
		h.List = h.List[:perPage]
		h.Older = h.Search.With(h.List[perPage-1].ID)
	}
	return err
}

// fused are the accounts in which the fuse holds incidents, the most first.
func (p *page) fused() (all []fused) {
	for account, n := range p.Index.FusedIn() {
		all = append(all, fused{account, n})
	}
	slices.SortFunc(all, func(a, b fused) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.ID, b.ID))
	})
	return all
}
