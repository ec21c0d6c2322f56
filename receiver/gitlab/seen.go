package gitlab

import (
	"crypto/sha256"
	"sync"
	"time"
)

// A generation of names ends when it is full or when its oldest can be refused by the time alone: a delivery may be dated
// ahead by the tolerance, and is taken for as long after its date.
const (
	maxSeen = 1 << 15 // names; some 100 bytes each
	seenFor = 2 * tolerance
)

// seen are the names of deliveries that were taken. It is bounded: only who can sign has a delivery remembered, and if that
// are too many the oldest are forgotten; a copy of one of those is absorbed later. It is safe for concurrent use.
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
