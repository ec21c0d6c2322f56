// Package penalty counts the deliveries of each network address that fail verification, and says which addresses keep
// failing. It decides nothing about a delivery: an address may be a proxy that everybody uses, or GitHub's own, which
// anybody can make send us webhooks that fail. Memory is bounded, whoever sends.
package penalty

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An address may fail verification a hundred times, and once a second from then on.
const (
	maxFailures  = 100
	interval     = time.Second
	maxAddresses = 4096 // a generation; some 200 bytes each
)

// Address is who sent a request, as far as the network tells: an IPv4 address, or the /64 of an IPv6 one.
type Address netip.Prefix

// AddressOf returns the address of a request's peer. Peers without one, as on a unix socket, share the zero Address.
func AddressOf(r *http.Request) Address {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Address{}
	}
	ip := peer.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // the bits fit the address
	return Address(prefix)
}

// Register holds the failures of addresses. It is safe for concurrent use.
type Register struct {
	mu sync.Mutex
	// When a generation of addresses is full, the one before it is forgotten: a sender with thousands of addresses gains
	// little by one more.
	young, old map[Address]*rate.Limiter
}

// New makes an empty Register.
func New() *Register { return &Register{young: map[Address]*rate.Limiter{}} }

// Add counts a failure and reports whether it was one too many.
func (r *Register) Add(a Address) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures := r.failures(a)
	if failures == nil {
		failures = rate.NewLimiter(rate.Every(interval), maxFailures)
	}
	if len(r.young) >= maxAddresses {
		r.young, r.old = map[Address]*rate.Limiter{}, r.young
	}
	r.young[a] = failures
	return !failures.Allow()
}

// Suspects reports whether the next failure of an address would be one too many.
func (r *Register) Suspects(a Address) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures := r.failures(a)
	return failures != nil && failures.Tokens() < 1
}

// Forgive forgets the failures of an address, because it has sent a delivery that verifies.
func (r *Register) Forgive(a Address) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, a)
	delete(r.old, a)
}

// failures returns nil for an address without any.
func (r *Register) failures(a Address) *rate.Limiter {
	if failures, ok := r.young[a]; ok {
		return failures
	}
	return r.old[a]
}
