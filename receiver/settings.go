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
	// InFlightBytes is how many bytes of bodies are held in memory at once; 0: 64 MiB. It is never less than one whole body.
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

// settings are the configuration in force, swapped as a whole. A delivery ends under the settings that it began with.
type settings struct {
	sources  map[string]Source
	limits   Limits
	inFlight *semaphore.Weighted // bytes of bodies in memory
	suspects *semaphore.Weighted // the same for addresses that keep failing, so that they cannot use up inFlight
}

// Use makes the Handler serve these sources under these limits from the next delivery on; a delivery under way ends under
// the old ones. Calls must not overlap. The metrics of a new source start at zero, those of a removed one disappear.
// While deliveries are under way that began under another limit of bytes in flight, the sum of both limits bounds the
// memory.
func (h *Handler) Use(sources map[string]Source, limits Limits) {
	limits = limits.withDefaults()
	next := &settings{
		sources:  maps.Clone(sources),
		limits:   limits,
		inFlight: semaphore.NewWeighted(limits.InFlightBytes),
		suspects: semaphore.NewWeighted(limits.Body + 1),
	}
	if before := h.settings.Load(); before != nil && before.limits == limits {
		next.inFlight, next.suspects = before.inFlight, before.suspects
	}
	h.metrics.use(slices.Sorted(maps.Keys(sources)))
	h.settings.Store(next)
}

// admit finds the source of a delivery, and refuses what can be refused before a byte of the body is read.
func (s *settings) admit(r *http.Request, d *delivery) (Source, error) {
	source, name, document := s.find(r.URL.Path)
	if source == nil {
		return nil, errUnknownSource
	}
	d.source, d.document = name, document
	if r.Method != d.method() {
		return nil, errMethod
	}
	if !accepts(source, r.Header) {
		return nil, errContentType
	}
	if err := source.Admit(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > s.limits.Body {
		return nil, errTooLarge
	}
	return source, nil
}

// find returns the source that a path belongs to, and its name; nil: there is none. document is what is read at the path;
// empty: the path takes deliveries.
func (s *settings) find(path string) (source Source, name, document string) {
	rest, ok := strings.CutPrefix(path, "/hooks/")
	if !ok {
		return nil, "", ""
	}
	name, below, deeper := strings.Cut(rest, "/")
	if !deeper {
		return s.sources[name], name, ""
	}
	if p, ok := s.sources[name].(Pather); ok {
		if document, ok := p.Paths()[below]; ok {
			return s.sources[name], name, document
		}
	}
	return nil, "", ""
}

// budget is the memory that a body is taken from.
func (s *settings) budget(suspect bool) *semaphore.Weighted {
	if suspect {
		return s.suspects
	}
	return s.inFlight
}
