package dispositions

import (
	"fmt"
	"sync"
	"time"

	"stanch/receiver/leak"
)

// halves remembers which incident has each key of the issuers whose keys leak as two values. It is filled from the log; an incident
// that is not there yet is not joined, and then the same key is acted on twice, to the same end.
type halves struct {
	mu    sync.Mutex
	first map[issuerKey]leak.Fingerprint
}

type issuerKey struct{ issuer, id string }

// halvesSince is how far back the log is read for the other half of a credential.
const halvesSince = 30 * 24 * time.Hour

// note takes down the first incident of a key.
func (h *halves) note(e leak.Entry) {
	if i := e.Incident; i.Abilities.Halves && i.Located() && i.Key.ID != "" {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.first == nil {
			h.first = map[issuerKey]leak.Fingerprint{}
		}
		if key := (issuerKey{i.Issuer, i.Key.ID}); h.first[key] == "" {
			h.first[key] = i.ID
		}
	}
}

// other is the incident that a key has already, of another value; empty: there is none.
func (h *halves) other(issuer connection, key leak.Key, than leak.Fingerprint) leak.Fingerprint {
	if !issuer.Issuer.Abilities().Halves {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if first := h.first[issuerKey{issuer.Name, key.ID}]; first != than {
		return first
	}
	return ""
}

// joinedTo says whose incident goes on with a sighting.
type joinedTo struct{ incident leak.Fingerprint }

// Error says so.
func (j *joinedTo) Error() string {
	return "the key has an incident already: " + j.incident.Short()
}

// endJoined ends an incident that was opened for one half before the other half was known, and whose sighting the other's has by now.
func (p *pass) endJoined() outcome {
	if !p.head.Exists() || p.head.Finished() {
		return outcome{result: nothingLeft}
	}
	return outcome{result: isJoined, text: fmt.Sprintf(
		"the other half of a credential whose incident is %s, which goes on", p.work.other.Short())}
}
