package web

import (
	"errors"
	"net/http"
	"slices"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify"
	"stanch/receiver/leak"
)

// reloadOpen is after how many seconds the page of an incident that is being worked on is asked for again.
const reloadOpen = 3

// told is an incident with everything that a person needs to know of it.
type told struct {
	leak.Incident
	Actor  string // empty: nobody signed in
	Said   string // what came of the order that led here
	Title  string
	First  []notify.Fact // what leaked, and what was done
	Next   string        // what to do next
	Facts  []notify.Fact // the rest of the notice
	Reach  [][2]string   // how far the leak reached: names, and what is known
	Seen   []leak.Sighting
	Steps  []leak.Step
	Verbs  []dispositions.Verb
	reload int
}

func (t told) refresh() int { return t.reload }

// Means says what the state of the incident means.
func (t told) Means() string { return meanings[t.State] }

var meanings = map[leak.State]string{
	leak.Open:      "being worked on",
	leak.Held:      "waits for approval",
	leak.Contained: "proved dead",
	leak.Left:      "left alone",
	leak.Unknown:   "known to no issuer",
	leak.Failed:    "not done yet: tried again, or for a person",
	leak.Closed:    "nothing more is to be done",
}

func (p *page) incident(r *http.Request, by string) (view, error) {
	id, err := p.find(r)
	if err != nil {
		return view{}, err
	}
	histories, err := p.Ledger.Histories(r.Context(), id)
	if err != nil {
		return view{}, err
	}
	seen, err := p.Sightings.Of(r.Context(), id)
	if err != nil {
		return view{}, err
	}
	t, err := p.tell(histories[id], append([]leak.Sighting{}, seen...))
	if err != nil {
		return view{}, err
	}
	t.Said, t.Actor = p.outcomes.of(r), by
	return view{template: "incident", data: t}, nil
}

// find is the incident that a path names.
func (p *page) find(r *http.Request) (leak.Fingerprint, error) {
	id, err := p.Index.Find(r.PathValue("id"))
	switch {
	case errors.Is(err, ledger.ErrNoIncident):
		return "", &problem{http.StatusNotFound, err.Error()}
	case err != nil:
		return "", &problem{http.StatusConflict, err.Error()}
	}
	return id, nil
}

// tell says of an incident what its notice says, and what a notice has no room for.
func (p *page) tell(h ledger.History, seen []leak.Sighting) (told, error) {
	t := told{Incident: h.Incident, Seen: seen, Steps: h.Steps, Verbs: verbsFor(h.Incident), Reach: p.Reach(h.Incident)}
	notice, ok, err := p.Settings().Preview("", h.Incident, h.Steps, seen)
	if err != nil {
		return t, err
	}
	t.Title = notice.Title
	if !ok {
		t.Title = "A leaked key is being worked on"
	}
	if h.State == leak.Open {
		t.reload = reloadOpen
	}
	t.sort(notice.Facts)
	return t, nil
}

// sort puts the facts of a notice where a page shows them: what is wanted of the reader stands out, and where the key was
// seen has a list of its own.
func (t *told) sort(facts []notify.Fact) {
	for _, f := range facts {
		switch f.Name {
		case "What leaked", "What was done", "What happened":
			t.First = append(t.First, f)
		case "What to do next":
			t.Next = f.Text
		case "Where it was seen":
		default:
			t.Facts = append(t.Facts, f)
		}
	}
}

// verbsFor are the orders that can change something about an incident as it stands. The engine has the last word.
func verbsFor(i leak.Incident) []dispositions.Verb {
	switch i.State {
	case leak.Open:
		return nil
	case leak.Held:
		return []dispositions.Verb{dispositions.Approve, dispositions.Reject, dispositions.Close}
	case leak.Failed, leak.Unknown:
		return []dispositions.Verb{dispositions.Retry, dispositions.Close}
	}
	var verbs []dispositions.Verb
	if i.Key.Disabled && !i.Key.Gone {
		verbs = append(verbs, dispositions.Undo)
	}
	if i.State != leak.Contained {
		verbs = append(verbs, dispositions.Retry)
	}
	if i.State != leak.Closed {
		verbs = append(verbs, dispositions.Close)
	}
	return verbs
}

// verb is what a path orders, if it is one of some.
func verb(r *http.Request, of []dispositions.Verb) (dispositions.Verb, error) {
	v := dispositions.Verb(r.PathValue("verb"))
	if !slices.Contains(of, v) {
		return "", &problem{http.StatusNotFound, "there is no such action"}
	}
	return v, nil
}
