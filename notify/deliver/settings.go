package deliver

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// Route is one notifier and what it wants to hear of.
type Route struct {
	Notifier notify.Notifier
	// When reports whether the notifier is told of an incident as it stands after the step; nil: of every one. When it
	// cannot tell, the notifier is told.
	When func(leak.Incident) (bool, error)
	// Words are the operator's own templates; where there is none, notices are as they are composed.
	Words compose.Words
	// Burst is how many notices a minute are told one by one before what comes beyond becomes a group; 0: ten.
	Burst int
}

// burst is how many notices a minute the channel is told one by one.
func (r Route) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return defaultBurst
}

// Settings are what a [Dispatcher] works by. They change as a whole, by [Dispatcher.Use].
type Settings struct {
	Routes      map[string]Route // by configured name of the notifier; none: nobody is told
	ExternalURL string           // of the private listener; empty: notices have no link
	// Partner reports whether a source, by its configured name, is a partner's: a [notify.Outsider] is not told where its
	// alerts saw a key. Nil: no source is.
	Partner func(source string) bool
}

// audience is whom notices for a notifier are composed for.
func (s Settings) audience(n notify.Notifier) compose.Audience {
	a := compose.Audience{ExternalURL: s.ExternalURL}
	if o, ok := n.(notify.Outsider); ok && o.Outside() {
		a.Withholds = s.Partner
	}
	return a
}

// Preview returns the notice that a notifier would get of an incident now, about the newest of its steps that is news. An
// empty name stands for a notifier of our own without templates. It reports false when no step is news. The error is that of
// [compose.Words.Write].
func (s Settings) Preview(notifier string, i leak.Incident, steps []leak.Step, seen []leak.Sighting) (notify.Notice, bool, error) {
	route := s.Routes[notifier]
	for at := range slices.Backward(steps) {
		e := leak.Entry{V: 1, ID: "preview", Steps: steps[at : at+1], Incident: i}
		if n, ok := s.audience(route.Notifier).Notice(e, seen); ok {
			n, err := route.Words.Write(n)
			return n, true, err
		}
	}
	return notify.Notice{}, false, nil
}

// inForce are the settings in force. A notice that is under way ends by those that it began with.
type inForce struct {
	Settings
	routes    map[string]Route
	ready     chan struct{} // closed when the consumer of every route exists
	markReady func()        // closes it
	replaced  chan struct{} // closed when others are in force
}

func newInForce(s Settings) *inForce {
	ready := make(chan struct{})
	return &inForce{
		Settings: s, routes: maps.Clone(s.Routes), ready: ready, markReady: sync.OnceFunc(func() { close(ready) }),
		replaced: make(chan struct{}),
	}
}

// same reports whether two notifiers are one.
func same(a, b notify.Notifier) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}
