package queue

import (
	"time"

	"stanch/receiver/leak"
)

// The streams. Package layout has their limits in a table. The sum of the MaxBytes is reserved, so it must fit the store.
const (
	Alerts    = "ALERTS"    // work queue: sealed alerts on their way to the engine
	Pointers  = "POINTERS"  // work queue: reports without the secret on their way to the collector
	Incidents = "INCIDENTS" // the log: one subject an incident, never deleted, never purged
	Retries   = "SEALED"    // the retry queue: the sealed alert of each unfinished incident, one a fingerprint
	Sightings = "SIGHTINGS" // where keys were seen, encrypted under a key of the day
	Days      = "DAYS"      // those keys, sealed, one a day; to delete one is to forget the day
	Dead      = "DEAD"      // dead letters, sealed
	// Checkpoints commit to what the log held at a time; never deleted, never purged.
	Checkpoints = "CHECKPOINTS"
	Told        = "TOLD"   // what notifiers must remember of what they told, one message a notifier and incident
	Probes      = "PROBES" // the store probe: one small message, overwritten
)

// AlertSubject is where a source's alerts are queued.
func AlertSubject(source string) string { return "alerts." + source }

// PointerSubject is where a source's pointers are queued.
func PointerSubject(source string) string { return "pointers." + source }

// IncidentSubject is the subject of one incident in the log; AllIncidents matches all of them.
func IncidentSubject(f leak.Fingerprint) string { return "incidents." + string(f) }

// RetrySubject is where the retry queue keeps the sealed alert of an unfinished incident.
func RetrySubject(f leak.Fingerprint) string { return "sealed." + string(f) }

// SightingSubject is the subject of one sighting; with id "*" it matches every sighting of an incident.
func SightingSubject(f leak.Fingerprint, id string) string {
	return "sightings." + string(f) + "." + id
}

// DaySubject is where the key of a day is kept.
func DaySubject(day string) string { return "days." + day }

// DeadSubject is where a source's dead letters go.
func DeadSubject(source string) string { return "dead." + source }

// ToldSubject is where a notifier, by its configured name, remembers what it did about an incident; with the incident
// "*" it matches all that it remembers of incidents.
func ToldSubject(notifier string, f leak.Fingerprint) string {
	return "told." + notifier + "." + string(f)
}

// LeaseSubject is where the process that serves a notifier says so.
func LeaseSubject(notifier string) string { return "told." + notifier + ".lease.holder" }

// ProgressSubject is where a notifier keeps how far it has come.
func ProgressSubject(notifier string) string { return "told." + notifier }

// CheckpointSubject is where checkpoints of the log are appended, one after the other.
const CheckpointSubject = "checkpoints.log"

// Filters for a whole stream.
const (
	AllDays      = "days.>"
	AllDead      = "dead.>"
	AllIncidents = "incidents.>"
	AllRetries   = "sealed.>"
)

// The limits of streams that others rely on.
const (
	// DefaultMaxStore is the size of the whole store, in bytes, when none is configured.
	DefaultMaxStore = 8 << 30
	// MinMaxStore is the smallest store in which each stream has room for its largest message, in bytes.
	MinMaxStore = 16 << 20
	// MaxAlertSize is the largest message that ALERTS takes, in bytes. A record that would not fit becomes a dead letter.
	MaxAlertSize = 64 << 10
	// MaxRetryAge is how long the retry queue keeps the secret of an unfinished incident at most.
	MaxRetryAge = 30 * 24 * time.Hour
	// MaxDeadSize is the largest message that DEAD takes, in bytes.
	MaxDeadSize = 512 << 10
	// MaxSightingAge is how long a sighting is kept.
	MaxSightingAge = 30 * 24 * time.Hour
	// MaxDeadAge is how long a dead letter is kept.
	MaxDeadAge = 90 * 24 * time.Hour
	// MaxToldSize is the largest message that TOLD takes, in bytes.
	MaxToldSize = 48 << 10
	// MaxToldAge is how long a notifier remembers, after the last change, what it did about an incident.
	MaxToldAge = 90 * 24 * time.Hour
)
