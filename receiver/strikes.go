package receiver

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An address may fail verification a hundred times, and once a second from then on.
const (
	maxStrikes     = 100
	strikeInterval = time.Second
	maxAddresses   = 4096 // a generation; some 200 bytes each
)

// address is who sent a request, as far as the network tells: an IPv4 address, or the /64 of an IPv6 one.
type address netip.Prefix

func addressOf(r *http.Request) address {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return address{} // a unix socket, say: all of those are one
	}
	ip := peer.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // the bits fit the address
	return address(prefix)
}

// strikes counts the failed verifications of addresses.
//
// An address is never refused for what came from it before: it may be a proxy that stands for everybody, or GitHub's
// own, which anybody can make send webhooks to us that fail. Every delivery is verified. What an address that keeps
// failing loses is its share of the memory for bodies (it gets the suspects' lane), its 401 (it gets 429) and its lines
// in the log.
type strikes struct {
	mu sync.Mutex
	// When a generation of addresses is full the one before it is forgotten: who has thousands of them gains little by
	// one more.
	young, old map[address]*rate.Limiter
}

func newStrikes() *strikes { return &strikes{young: map[address]*rate.Limiter{}} }

// add counts a failure and reports whether it was one too many.
func (s *strikes) add(a address) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := s.count(a)
	if count == nil {
		count = rate.NewLimiter(rate.Every(strikeInterval), maxStrikes)
	}
	if len(s.young) >= maxAddresses {
		s.young, s.old = map[address]*rate.Limiter{}, s.young
	}
	s.young[a] = count
	return !count.Allow()
}

// suspect reports whether the next failure of an address would be one too many.
func (s *strikes) suspect(a address) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := s.count(a)
	return count != nil && count.Tokens() < 1
}

// forgive forgets the failures of an address that can prove a delivery.
func (s *strikes) forgive(a address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, a)
	delete(s.old, a)
}

// count returns nil for an address without failures.
func (s *strikes) count(a address) *rate.Limiter {
	if count, ok := s.young[a]; ok {
		return count
	}
	return s.old[a]
}
