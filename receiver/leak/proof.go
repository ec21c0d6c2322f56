package leak

import "time"

// Proof is why a key is said to be dead, or what is known instead of a proof.
type Proof struct {
	Kind ProofKind `json:"kind"`
	// Code is the issuer's own code for refusing the leaked value; empty: the value was not tried, or there is none.
	Code string    `json:"code,omitempty"`
	At   time.Time `json:"at"`
	// SettledAt is when it was proved again, after the time that changes take to hold everywhere; zero: not needed, or not yet.
	SettledAt time.Time `json:"settled_at,omitzero"`
}

// ProofKind is what a proof rests on.
type ProofKind string

// The kinds of proof. An action that was accepted and cannot be proved is never called contained.
const (
	ReadBackDisabled ProofKind = "read_back_disabled" // the issuer, asked again, says that the key is disabled
	ReadBackGone     ProofKind = "read_back_gone"     // the issuer, asked again, has no such key
	ReadBackExpired  ProofKind = "read_back_expired"  // the issuer says that the key's time is over, and its value is refused
	RefusedByUse     ProofKind = "refused_by_use"     // the leaked value is refused as only a dead key's is
	AcceptedOnly     ProofKind = "accepted"           // the issuer accepted the action, and nobody can tell whether it holds
)

// Trial is what came of using a leaked value as its finder would.
type Trial struct {
	Result TrialResult `json:"result"`
	// Code is the issuer's own code for a refusal; empty: it gave none.
	Code string `json:"code,omitempty"`
	// Exists is set when the code says that there is such a key, which is disabled: it is not gone then.
	Exists bool `json:"exists,omitempty"`
}

// TrialResult is how a trial ended.
type TrialResult string

// The results of a trial. Whatever is none of these is an error, and proves nothing.
const (
	Works TrialResult = "works" // the value is accepted
	Dead  TrialResult = "dead"  // refused with a code that the issuer documents for dead keys
	// Refused is the issuer's own ordinary refusal of a value, with another code or none. Alone it proves nothing; with a key that is
	// read back disabled it proves that, and so it does of a value that was seen to work before. A refusal for any other reason, such
	// as a limit, is an error.
	Refused TrialResult = "refused"
)
