package receiver

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/semaphore"
)

// Limits bound what deliveries may cost. Zero values mean the defaults.
type Limits struct {
	// Body is the largest body of a delivery, in bytes; 0: 25 MiB, the most that GitHub sends.
	Body int64
	// AlertsPerDelivery is how many records a delivery may hold; 0: 10,000; at most MaxRecords.
	AlertsPerDelivery int
	// InFlightBytes is how much of bodies is held in memory at once; 0: 64 MiB. It is never less than one whole body.
	InFlightBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.Body <= 0 {
		l.Body = 25 << 20
	}
	if l.AlertsPerDelivery <= 0 {
		l.AlertsPerDelivery = 10_000
	}
	if l.InFlightBytes <= 0 {
		l.InFlightBytes = 64 << 20
	}
	l.AlertsPerDelivery = min(l.AlertsPerDelivery, MaxRecords)
	l.InFlightBytes = max(l.InFlightBytes, l.Body+1)
	return l
}

// terms are what a Handler works by, and change as one. A delivery ends by those that it began with.
type terms struct {
	sources  map[string]Source
	limits   Limits
	budget   *semaphore.Weighted // bytes of bodies in memory
	suspects *semaphore.Weighted // the same for addresses that keep failing, so that they cannot use up the budget
}

// Use makes a Handler serve other sources, under other limits, from the next delivery on; one that is under way ends as
// it began. Calls must not overlap. A new source's metrics start at zero, those of one that is gone are forgotten. While deliveries are under
// way that began under another limit of bytes in flight, both limits together bound the memory.
func (h *Handler) Use(sources map[string]Source, limits Limits) {
	limits = limits.withDefaults()
	t := &terms{
		sources:  maps.Clone(sources),
		limits:   limits,
		budget:   semaphore.NewWeighted(limits.InFlightBytes),
		suspects: semaphore.NewWeighted(limits.Body + 1),
	}
	if before := h.terms.Load(); before != nil && before.limits == limits {
		t.budget, t.suspects = before.budget, before.suspects
	}
	h.metrics.use(slices.Sorted(maps.Keys(sources)))
	h.terms.Store(t)
}

// find returns the source that a path belongs to, and its name; nil: there is none. What is at the path is a document, or
// empty where deliveries are taken.
func (t *terms) find(path string) (source Source, name, document string) {
	rest, ok := strings.CutPrefix(path, "/hooks/")
	if !ok {
		return nil, "", ""
	}
	name, below, deeper := strings.Cut(rest, "/")
	if !deeper {
		return t.sources[name], name, ""
	}
	if further, ok := t.sources[name].(Pather); ok {
		if document, ok := further.Paths()[below]; ok {
			return t.sources[name], name, document
		}
	}
	return nil, "", ""
}

// admit refuses what can be refused before a byte of the body is read.
func (t *terms) admit(source Source, r *http.Request, method string) error {
	if r.Method != method {
		return errMethod
	}
	if !takes(source, r.Header) {
		return errContentType
	}
	if err := source.Admit(r.Header); err != nil {
		return err
	}
	if r.ContentLength > t.limits.Body {
		return errTooLarge
	}
	return nil
}

// lane is the memory that a body is taken from.
func (t *terms) lane(suspect bool) *semaphore.Weighted {
	if suspect {
		return t.suspects
	}
	return t.budget
}
