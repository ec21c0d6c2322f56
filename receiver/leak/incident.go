package leak

import "time"

// State is where an incident stands.
type State string

// The states of an incident.
const (
	Open      State = "open"      // being worked on
	Held      State = "held"      // waits for approval
	Contained State = "contained" // proved dead
	Accepted  State = "accepted"  // the issuer accepted the action, and nobody can prove that the key is dead
	Left      State = "left"      // policy says nothing
	Unknown   State = "unknown"   // no issuer knows it
	Failed    State = "failed"    // paged; retried, or for a human
	Closed    State = "closed"
)

// States lists every state, in the order in which people read them.
var States = []State{Open, Held, Failed, Unknown, Accepted, Contained, Left, Closed}

// Incident is one leaked key with everything known about it, as it stands after a step. It is small: its sightings and
// its steps are kept apart.
type Incident struct {
	ID       Fingerprint `json:"id"`
	State    State       `json:"state"`
	Severity Severity    `json:"severity"`
	Issuer   string      `json:"issuer"` // configured name of the issuer that knows the key; empty while none does
	Key      Key         `json:"key"`
	// Advice is what the issuer tells people about the key.
	Advice Advice `json:"advice,omitzero"`
	Action Action `json:"action"`
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	// Failure is what stood in the way the last time that it was recorded, while the state is failed.
	Failure string `json:"failure,omitempty"`
	// Cause is why, as far as people have different things to do about it.
	Cause Cause `json:"cause,omitempty"`
	// Intended is an action that was announced in the log and not yet proved; empty otherwise. A reconcile that finds it
	// takes the action up again. While it is disable and Action is delete, deleting waits for approval.
	Intended Action `json:"intended,omitempty"`
	// Rated is the severity that the decision gave; Severity is higher while something stands in the way.
	Rated Severity `json:"rated,omitempty"`
	// Approval and Unlock are as policy decided: whether a person must approve the action, and whether the key may be
	// unlocked for it.
	Approval bool `json:"approval,omitempty"`
	Unlock   bool `json:"unlock,omitempty"`
	// Abilities is what the issuer can do, as it was when the last decision was made.
	Abilities Abilities `json:"abilities,omitzero"`
	// WorkedAt is when the leaked value was last seen to work, before anything was done; zero: it was not tried.
	WorkedAt time.Time `json:"worked_at,omitzero"`
	// Proof is why the key is said to be dead; nil while it is not.
	Proof *Proof `json:"proof,omitempty"`
	// SettlesAt is when an announced action holds everywhere at its issuer; zero: it was not accepted yet, or needs no time.
	SettlesAt time.Time `json:"settles_at,omitzero"`
	// Denied is set while every issuer that may see the secret says that it has no such key.
	Denied bool `json:"denied,omitempty"`
	// Told is set once somebody was told that the key works although the incident is closed.
	Told            bool      `json:"told,omitempty"`
	Source          string    `json:"source"`         // of the first alert
	First           string    `json:"first_sighting"` // id of the first sighting
	Last            string    `json:"last_sighting"`  // id of the newest sighting
	SightingCount   int       `json:"sighting_count"`
	ReceivedAt      time.Time `json:"received_at"` // when the first alert was received
	ContainedAt     time.Time `json:"contained_at,omitzero"`
	TokensLiveUntil time.Time `json:"tokens_live_until,omitzero"` // tokens issued before may work until then
	LookedAt        time.Time `json:"looked_at,omitzero"`         // of the second look at the dead key
	// Aftermath is what the second look found; nil before it. It is not changed once it is there.
	Aftermath *Aftermath `json:"aftermath,omitempty"`
}

// Finished reports whether nothing more is to be done unless something new is seen.
func (i Incident) Finished() bool {
	return i.State == Contained || i.State == Accepted || i.State == Left || i.State == Closed
}

// Located reports whether an issuer told which key it is.
func (i Incident) Located() bool { return i.Issuer != "" && i.Rule != RuleByHand }
