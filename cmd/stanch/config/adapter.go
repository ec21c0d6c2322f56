package config

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions"
	"stanch/notify"
	"stanch/receiver"
	"stanch/receiver/collect"
)

// Registry lists the adapters by the type that a configuration entry names. Each function returns a new, empty adapter part of an
// entry.
type Registry struct {
	Sources   map[string]func() SourceAdapter
	Issuers   map[string]func() IssuerAdapter
	Notifiers map[string]func() NotifierAdapter
}

// adapt puts the adapter of a type into an entry. It is a [decode.Adapt].
func (r Registry) adapt(entry any, kind string) (own any, known []string, ok bool) {
	switch e := entry.(type) {
	case *Source:
		own, known = fresh(r.Sources, kind, &e.Adapter)
	case *Issuer:
		own, known = fresh(r.Issuers, kind, &e.Adapter)
	case *Notifier:
		own, known = fresh(r.Notifiers, kind, &e.Adapter)
	default:
		return nil, nil, false
	}
	return own, known, true
}

// fresh makes the adapter of a type, and returns the types that there are if there is none.
func fresh[C checker](adapters map[string]func() C, kind string, to *C) (own any, known []string) {
	made, ok := adapters[kind]
	if !ok {
		return nil, slices.Sorted(maps.Keys(adapters))
	}
	*to = made()
	return *to, nil
}

// checker is a part of the configuration that knows its own faults. Check reports every one of them: the YAML path of
// the field within its entry, and what is wrong, without the value.
type checker interface {
	Check(fault func(field, problem string))
}

// SourceAdapter is the part of a source's entry that its adapter reads, and the way from it to the source.
type SourceAdapter interface {
	checker
	Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error)
}

// VendorAdapter is a SourceAdapter whose deliveries hold no secret: the collector asks the vendor for it.
type VendorAdapter interface {
	OpenVendor(name string, log *slog.Logger) (collect.Vendor, error)
	// SweepEvery is how often the source is swept.
	SweepEvery() time.Duration
}

// IssuerAdapter is the part of an issuer's entry that its adapter reads, and the way from it to the issuer.
type IssuerAdapter interface {
	checker
	Open(name string, log *slog.Logger) (dispositions.Issuer, error)
}

// NotifierAdapter is the part of a notifier's entry that its adapter reads, and the way from it to the notifier.
type NotifierAdapter interface {
	checker
	Open(name string, log *slog.Logger) (notify.Notifier, error)
}
