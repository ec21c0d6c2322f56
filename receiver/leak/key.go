package leak

import "time"

// Key is what leaked, as its issuer knows it; never its value.
type Key struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Kind  string `json:"kind"`  // user, service_id, or the issuer's word
	Owner string `json:"owner"` // the identity that the key acts as
	// OwnerName is what people call that identity; empty when the issuer does not say, or not in time.
	OwnerName string `json:"owner_name,omitempty"`
	Account   string `json:"account"` // the issuer's account, organisation or tenant
	Locked    bool   `json:"locked"`
	Disabled  bool   `json:"disabled"`
	// Gone is set once the issuer says that there is no such key any more.
	Gone       bool      `json:"gone,omitempty"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	// Used is how it was used until it was located.
	Used Activity `json:"used,omitzero"`
	// Setting is the action that the key's owner configured for a leak; empty when the issuer does not say.
	Setting Action `json:"setting,omitempty"`
	// Own is set for a credential that stanch itself runs on; it is never acted on.
	Own bool `json:"own,omitempty"`
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

// Aftermath is what a leaked key did between its lookup and the end of its last token, as the second look finds it.
type Aftermath struct {
	// Used are the sign-ins between the lookup and the death of the key.
	Used Activity `json:"used"`
	// Traced is set when the issuer said what the key's owner made since the first sighting.
	Traced bool   `json:"traced"`
	Made   []Made `json:"made,omitempty"` // the newest, at most ten
	More   int    `json:"more,omitempty"` // how many besides those
}
