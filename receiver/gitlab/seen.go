package gitlab

import (
	"crypto/sha256"
	"sync"
	"time"
)

// A generation of names ends when it is full, or when its oldest delivery would be refused for its time alone: a delivery may be
// dated ahead by the tolerance, and is accepted for as long after its date.
const (
	maxSeen = 1 << 15 // names; some 100 bytes each
	seenFor = 2 * tolerance
)

// seen remembers the names of accepted deliveries, so that a copy is refused. It is bounded: only signed deliveries are remembered,
// and if there are too many the oldest are forgotten; a copy of those is absorbed later. It is safe for concurrent use.
type seen struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
	since      time.Time // when the young generation began
}

func newSeen() *seen { return &seen{young: map[[sha256.Size]byte]struct{}{}, since: time.Now()} }

func (s *seen) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= maxSeen || time.Since(s.since) >= seenFor {
		s.young, s.old, s.since = map[[sha256.Size]byte]struct{}{}, s.young, time.Now()
	}
	s.young[sha256.Sum256([]byte(name))] = struct{}{}
}

func (s *seen) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256([]byte(name))
	_, young := s.young[sum]
	_, old := s.old[sum]
	return young || old
}
