package github

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"stanch/receiver/leak"
)

// How a partner source can name a token to GitHub.
const (
	feedbackHash = "token_hash" // SHA-256 of the token, lower-case hex
	feedbackRaw  = "token_raw"  // the token itself
)

// told is what we tell GitHub about one token. Exactly one of its two names is set.
type told struct {
	Raw   string     `json:"token_raw,omitempty"`
	Hash  string     `json:"token_hash,omitempty"`
	Type  string     `json:"token_type"`
	Label leak.Label `json:"label"`
}

// WantsFeedback implements receiver.Labeller.
func (p *partner) WantsFeedback() bool {
	return p.feedback == feedbackHash || p.feedback == feedbackRaw
}

// Feedback implements receiver.Labeller. A token whose label is not known is left out, which GitHub takes as "could not tell". The
// answer goes to GitHub, which sent the tokens.
func (p *partner) Feedback(found []leak.Content, labels []leak.Label) []byte {
	entries := []told{}
	for i, c := range found {
		if labels[i] == "" {
			continue
		}
		entry := told{Type: c.Type, Label: labels[i]}
		if p.feedback == feedbackRaw {
			entry.Raw = c.Secret.Reveal()
		} else {
			sum := sha256.Sum256([]byte(c.Secret.Reveal()))
			entry.Hash = hex.EncodeToString(sum[:])
		}
		entries = append(entries, entry)
	}
	body, err := json.Marshal(entries)
	if err != nil {
		return nil // strings always marshal
	}
	return body
}
