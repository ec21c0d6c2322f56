package penalty_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver/penalty"
)

func addressOf(peer string) penalty.Address {
	request := httptest.NewRequest("POST", "/", nil)
	request.RemoteAddr = peer
	return penalty.AddressOf(request)
}

// TestRegister: a hundred failures are free, and one a second from then on. A delivery that verifies makes all forgotten.
func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := penalty.New(), addressOf("192.0.2.1:4000")
		for n := range 100 {
			if r.Suspects(a) || r.Add(a) {
				t.Fatalf("failure %d is one too many", n+1)
			}
		}
		if !r.Suspects(a) || !r.Add(a) {
			t.Error("failure 101 is not one too many")
		}
		time.Sleep(time.Second)
		if r.Suspects(a) || r.Add(a) || !r.Add(a) {
			t.Error("a second later, want one more failure free")
		}
		if other := addressOf("192.0.2.2:4000"); r.Suspects(other) || r.Add(other) {
			t.Error("another address is a suspect")
		}
		r.Forgive(a)
		if r.Suspects(a) || r.Add(a) {
			t.Error("an address that was forgiven is a suspect")
		}
	})
}

// TestRegisterForgets: the failures of an address survive one generation of others, and not two.
func TestRegisterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := penalty.New(), addressOf("192.0.2.1:4000")
		for range 101 {
			r.Add(a)
		}
		others := func(generation int) {
			for n := range 4096 {
				r.Add(addressOf(fmt.Sprintf("10.%d.%d.%d:1", generation, n/250, n%250)))
			}
		}
		if others(1); !r.Suspects(a) {
			t.Error("the address is forgotten after one generation")
		}
		if others(2); r.Suspects(a) {
			t.Error("the address is not forgotten after two generations")
		}
	})
}

// TestAddressOf: an IPv4 address, also inside of an IPv6 one, or the /64 of an IPv6 address; everything else is one address.
func TestAddressOf(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true},
		{"[2001:db8::1]:1", "[2001:db8::1%eth0]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"@", "", true},
		{"@", "192.0.2.1:1", false},
	} {
		if same := addressOf(row.a) == addressOf(row.b); same != row.same {
			t.Errorf("%q and %q are one address: %v, want %v", row.a, row.b, same, row.same)
		}
	}
}
