// Package leak is the vocabulary of stanch: what a leaked key, the reports of it and its incident are called, and the
// errors that stages decide on. It imports the standard library only, and every stage speaks it, so that stages need
// not import each other. Of everything here only [Content] holds a secret, and a [Secret] does not print.
package leak

import (
	"errors"
	"time"
)

// Errors that callers decide on. Adapters wrap them; everything that is none of these is unresolved: it is tried
// again, and then somebody is paged.
var (
	// ErrNotFound means that the issuer, asked with a working credential, says that it has no such key.
	ErrNotFound = errors.New("the issuer knows no such key")
	// ErrLocked means that the issuer refuses to change the key because it is locked.
	ErrLocked = errors.New("the key is locked")
	// ErrAlive means that a secret works, although its key is said to be dead.
	ErrAlive = errors.New("the leaked value still works")
	// ErrCredential means that the issuer refuses our own credential; it says nothing about the leaked key.
	ErrCredential = errors.New("our own credential is refused")
)

// Throttled is an error of an issuer or a channel that asked to be left alone for a while.
type Throttled struct {
	After time.Duration // how long, as it was asked for; it may be absurd, so bound it
	Err   error
}

// Error is the error that came with the wish.
func (t *Throttled) Error() string { return t.Err.Error() }

// Unwrap returns the error that came with the wish.
func (t *Throttled) Unwrap() error { return t.Err }

// Fingerprint is HMAC-SHA256 of a secret under a local key, in lower-case hex: the only name that a secret has outside
// the engine, and the id of its incident.
type Fingerprint string

// Short is the fingerprint as people read it in a log or a table; it is not unique.
func (f Fingerprint) Short() string {
	if len(f) <= 12 {
		return string(f)
	}
	return string(f[:12])
}

// Sealed is an encrypted [Content]; package seal makes and opens it.
type Sealed []byte

// Content is what an alert says of a secret, the secret included. It exists in clear only between parse and seal in the
// receiver, and between open and the end of a turn in the engine.
type Content struct {
	Secret Secret
	Type   string // the source's name for the kind of token; never trusted, may be empty
	URL    string // where it was seen, may be empty
	Place  string // what kind of place that is: commit, issue_title, wiki_content ...
	// Ref is what the source calls its own alert of it, so that the outcome can be reported there; empty: it has none.
	Ref string
	Marks
}

// Marks are what a source knows of a leak beyond its place. They make it more urgent, and never less.
type Marks struct {
	Public   bool   `json:"public,omitempty"`   // it is in a public place as well
	Validity string `json:"validity,omitempty"` // active, inactive or unknown, as the source found it; empty: it does not say
	Several  bool   `json:"several,omitempty"`  // it is in several repositories
	Swept    bool   `json:"swept,omitempty"`    // a sweep found it: no delivery told of it
}

// Worse reports whether the leak is worse than most.
func (m Marks) Worse() bool { return m.Public || m.Several || m.Validity == "active" }

// Pointer is a report without the secret: the collector asks the source for it and makes alerts of it. It holds no secret.
type Pointer struct {
	V      int    `json:"v"`            // format version, 1
	Source string `json:"source"`       // configured name of the source
	Ref    string `json:"ref"`          // what the source calls the alert
	Event  string `json:"event"`        // what the source said happened to it
	By     string `json:"by,omitempty"` // who did it, as the source calls them; empty: it does not say
	// Cause is what the source calls the chain of calls and events that this is a part of; empty: it does not say. Nobody
	// proved it, so it may be sent back to the source, and nothing is left undone because of it.
	Cause      string    `json:"cause,omitempty"`
	Swept      bool      `json:"swept,omitempty"`
	ReceivedAt time.Time `json:"received_at"`
}

// Report is what was told to a source about an alert of its own. The collector queues it like an alert, so that the engine
// puts it into the log.
type Report struct {
	Ref  string `json:"ref"`
	Text string `json:"text"` // one sentence, for people
}

// Alert is one report by a source that a secret was seen somewhere, as it travels through the queue. What it says is
// sealed; what is in clear names nobody.
type Alert struct {
	V           int         `json:"v"`           // format version, 1
	ID          string      `json:"id"`          // the sighting's id: the same report delivered twice has it twice
	Source      string      `json:"source"`      // configured name of the source
	Fingerprint Fingerprint `json:"fingerprint"` // of the secret
	Sealed      Sealed      `json:"sealed"`
	ReceivedAt  time.Time   `json:"received_at"`
	// Report is set instead of Sealed when this is no alert, but what was reported about one.
	Report *Report `json:"report,omitempty"`
}

// Sighting is where one alert saw the key. It is kept apart from the incident, encrypted, because it must be forgotten
// after a time.
type Sighting struct {
	Source string    `json:"source"`
	Type   string    `json:"type"`
	URL    string    `json:"url"`
	Place  string    `json:"place"`
	SeenAt time.Time `json:"seen_at"`
	Marks
}

// DeadLetter is something that no retry can help, with the reason. Its content is sealed.
type DeadLetter struct {
	V      int    `json:"v"` // format version, 1
	Reason string `json:"reason"`
	Alert  Alert  `json:"alert"`
	// Pointer is set when it is a pointer that could not be followed.
	Pointer *Pointer `json:"pointer,omitempty"`
	// Record is set when it never was an alert, because nobody could read it: what is sealed in Alert as the secret is the
	// record as it came, or a token that is too long.
	Record bool      `json:"record,omitempty"`
	At     time.Time `json:"at"`
}

// Action is what is done with a leaked key.
type Action string

// The actions, weakest first.
const (
	Nothing Action = "nothing"
	Disable Action = "disable"
	Delete  Action = "delete"
)

// Enable undoes Disable. Policy never decides it: only a person's undo announces it.
const Enable Action = "enable"

// Stronger reports whether a goes further than b: nothing < disable < delete. The empty action is the weakest.
func (a Action) Stronger(b Action) bool { return a.rank() > b.rank() }

func (a Action) rank() int {
	switch a {
	case Nothing:
		return 1
	case Disable:
		return 2
	case Delete:
		return 3
	}
	return 0
}

// Key is what leaked, as its issuer knows it; never its value.
type Key struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Kind  string `json:"kind"`  // user, service_id, or the issuer's word
	Owner string `json:"owner"` // the identity that the key acts as
	// OwnerName is what people call that identity; empty when the issuer does not say, or not in time.
	OwnerName  string    `json:"owner_name,omitempty"`
	Account    string    `json:"account"` // the issuer's account, organisation or tenant
	Locked     bool      `json:"locked"`
	Disabled   bool      `json:"disabled"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	// Used is how it was used until it was located.
	Used Activity `json:"used,omitzero"`
	// Setting is the action that the key's owner configured for a leak; empty when the issuer does not say.
	Setting Action `json:"setting,omitempty"`
	// Own is set for a credential that stanch itself runs on; it is never acted on.
	Own bool `json:"own,omitempty"`
	// TokenLife is how long tokens already issued for the key outlive it; 0 when none do.
	TokenLife time.Duration `json:"token_life_ns,omitempty"`
}

// Activity is how a key was used, as its issuer counts.
type Activity struct {
	Known  bool      `json:"known"`
	LastAt time.Time `json:"last_at,omitzero"`
	Count  int64     `json:"count"` // of sign-ins, since the key was made
}

// Made is something that an identity made at its issuer: whoever finds a key makes others with it, to stay.
type Made struct {
	Kind string    `json:"kind"` // api key, service id, or the issuer's word
	ID   string    `json:"id"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Decision is the action that policy chose, and why.
type Decision struct {
	Action   Action   `json:"action"`
	Rule     string   `json:"rule"`   // name of the rule, or of the built-in that decided: key, key_none, default, protect ...
	Reason   string   `json:"reason"` // one sentence, for people
	Severity Severity `json:"severity"`
	// Approval means that a person must approve the action first. A delete that waits for approval disables at once.
	Approval bool `json:"approval"`
	// Unlock allows a locked key to be unlocked in order to act on it.
	Unlock bool `json:"unlock"`
}

// Severity is how urgently somebody must look.
type Severity string

// The severities, calmest first.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// State is where an incident stands.
type State string

// The states of an incident.
const (
	Open      State = "open"      // being worked on
	Held      State = "held"      // waits for approval
	Contained State = "contained" // proved dead
	Left      State = "left"      // policy says nothing
	Unknown   State = "unknown"   // no issuer knows it
	Failed    State = "failed"    // paged; retried, or for a human
	Closed    State = "closed"
)

// States lists every state, in the order in which people read them.
var States = []State{Open, Held, Failed, Unknown, Contained, Left, Closed}

// Incident is one leaked key with everything known about it, as it stands after a step. It is small: its sightings and
// its steps are kept apart.
type Incident struct {
	ID       Fingerprint `json:"id"`
	State    State       `json:"state"`
	Severity Severity    `json:"severity"`
	Issuer   string      `json:"issuer"` // configured name of the issuer that knows the key; empty while none does
	Key      Key         `json:"key"`
	Action   Action      `json:"action"`
	Rule     string      `json:"rule"`
	Reason   string      `json:"reason"`
	// Failure is what stood in the way the last time that it was recorded, while the state is failed.
	Failure string `json:"failure,omitempty"`
	// Intended is an action that was announced in the log and not yet proved; empty otherwise. A turn that finds it
	// takes the action up again. While it is disable and Action is delete, deleting waits for approval.
	Intended Action `json:"intended,omitempty"`
	// Rated is the severity that the decision gave; Severity is higher while something stands in the way.
	Rated Severity `json:"rated,omitempty"`
	// Approval and Unlock are as policy decided: whether a person must approve the action, and whether the key may be
	// unlocked for it.
	Approval bool `json:"approval,omitempty"`
	Unlock   bool `json:"unlock,omitempty"`
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
}

// Finished reports whether nothing more is to be done unless something new is seen.
func (i Incident) Finished() bool {
	return i.State == Contained || i.State == Left || i.State == Closed
}

// StepName says what kind of change a step is.
type StepName string

// The steps.
const (
	Seen     StepName = "seen"     // a sighting was added
	Located  StepName = "located"  // an issuer knows the key
	NotKnown StepName = "unknown"  // no issuer knows the key
	Decided  StepName = "decided"  // policy chose
	HeldBack StepName = "held"     // waits for approval
	Intended StepName = "intended" // an action is announced
	Proved   StepName = "proved"   // the issuer, asked again, says it is so
	Failure  StepName = "failed"   // paged
	Spared   StepName = "left"     // policy says nothing, and nothing was done
	Wiped    StepName = "wiped"    // the kept secret is gone
	Warned   StepName = "warned"   // a rule could not be evaluated, and the next one was asked
	Reported StepName = "reported" // a source was told what became of its alert
	Looked   StepName = "looked"   // a second look, when the tokens issued before had run out
	Alive    StepName = "alive"    // a sighting of a closed incident came again, and its key works
)

// The steps that a person takes. Their text ends with the reason that was given.
const (
	Approved  StepName = "approved" // what the incident was held for is to be done
	Rejected  StepName = "rejected" // what the incident was held for is not done
	UndoAsked StepName = "undo"     // the key is to be enabled again
	Undone    StepName = "undone"   // the issuer, asked again, says that the key is enabled; taken by the engine
	Retried   StepName = "retried"  // the incident is to be tried again now
	Ended     StepName = "closed"   // nothing more is to be done, whatever is known so far
)

// Step is one change of an incident; appended, never edited.
type Step struct {
	At   time.Time `json:"at"`
	Step StepName  `json:"step"`
	Text string    `json:"text"` // one sentence, for people
	By   string    `json:"by"`   // who did it: engine, or a person
	// Sighting is the id of the sighting that a Seen step adds. The id outlives the sighting.
	Sighting string `json:"sighting,omitempty"`
	// Ref is what the source calls its alert, in a Seen step of a source that is reported to, and in a Reported step.
	Ref string `json:"ref,omitempty"`
	// Source is the configured name of that source.
	Source string `json:"source,omitempty"`
	// Quiet means that nobody is told of the step, because a step of another incident told it already.
	Quiet bool `json:"quiet,omitempty"`
}

// Entry is one message of the log: the steps of one turn, oldest first, and the incident as it stands after them.
// Steps that a turn takes together share one entry, and so one disk flush.
type Entry struct {
	V        int      `json:"v"`    // format version, 1
	ID       string   `json:"id"`   // random; tells our own entry from another's after a lost acknowledgement
	Prev     string   `json:"prev"` // SHA-256 of the incident's entry before this one, hex; empty on the first
	Steps    []Step   `json:"steps"`
	Incident Incident `json:"incident"`
}

// Label is what a source is told about a secret that it reported, where it asks for that.
type Label string

// The labels. The empty one means that nobody could tell in time, and nothing is said.
const (
	TruePositive  Label = "true_positive"  // an issuer knows the key, or knew it: one that is dead already is one as well
	FalsePositive Label = "false_positive" // every issuer that may see it was asked and has no such key, and none ever had
)

// Questions is what the receiver asks the engine, and the answer: the same with the labels that are known by then.
type Questions struct {
	Until  time.Time  `json:"until"` // when the answer is of no use any more
	Alerts []Labelled `json:"alerts"`
}

// Labelled is one alert by its names; it holds no secret.
type Labelled struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	ID          string      `json:"id"` // of the sighting
	Label       Label       `json:"label,omitempty"`
}

// Finding is what an examination of one part of a running system found, for the command that does it.
type Finding struct {
	Check  string `json:"check"`  // what was looked at, in a few words
	Result Result `json:"result"` // how it stands
	Text   string `json:"text"`   // one sentence, for people; it holds no secret
}

// Result is how a thing that was examined stands.
type Result string

// The results, best first.
const (
	Good   Result = "ok"
	Doubt  Result = "warning" // it works, and somebody should look
	Broken Result = "failure"
)
