// Package sourcetest is the conformance suite of every source, [Run]: what a vendor sends is accepted, what it did not
// send is refused unread, one bad record never costs the rest, and no error holds a token.
package sourcetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"stanch/receiver"
)

// Planted is the token that the suite reports and that must be nowhere but in what Parse found.
const Planted = "planted-token-4f1c"

// Harness is a source and what its vendor would send it. Every field is required, unless it says what its zero value means.
type Harness struct {
	// Source is under test, with its keys served.
	Source receiver.Source
	// Single means that a delivery holds one record; false: it holds any number, none included.
	Single bool
	// Body writes a delivery with these records, in their order; with one of them if Single.
	Body func(records ...string) []byte
	// Found returns what tells the records that were read apart: what Record was called with, in the same order.
	Found func(receiver.Parsed) []string
	// Record writes a good record of a token, Extended one with unknown fields as well.
	Record, Extended func(token string) string
	// Bad are records that hold Planted and cannot be used, by what is wrong with them.
	Bad map[string]string
	// NotFormat are bodies that are not the format at all.
	NotFormat map[string][]byte
	// Ignored are bodies that nobody acts on, by why; nil: there are none.
	Ignored map[string][]byte
	// Sign returns the header that proves a body.
	Sign func(body []byte) http.Header
	// Proof names the fields of that header, none of which may be missing.
	Proof []string
	// SenderOnly means that the proof is of the sender, and of no body; false: no other body has the same proof.
	SenderOnly bool
	// Forged are headers that prove nothing, by what is wrong with them.
	Forged map[string]func(body []byte) http.Header
}

// Run checks that a source does what the interface promises. Every error that it meets on the way is searched for the
// planted token.
func Run(t *testing.T, h Harness) {
	t.Run("a signed delivery is read", h.testGood)
	t.Run("fields that nobody has heard of are accepted", h.testExtended)
	t.Run("a delivery without its proof is refused unread", h.testUnsigned)
	t.Run("a forged delivery is refused", h.testForged)
	t.Run("a changed body is refused", h.testChanged)
	t.Run("one bad record never costs the rest", h.testBad)
	t.Run("what is not the format is an error", h.testNotFormat)
	t.Run("what nobody acts on is told apart", h.testIgnored)
	t.Run("many deliveries at once", h.testConcurrent)
}

func (h Harness) testGood(t *testing.T) {
	h.wantFound(t, h.accept(t, h.Body(h.Record(Planted))), Planted)
	if h.Single {
		return
	}
	h.wantFound(t, h.accept(t, h.Body(h.Record(Planted), h.Record("second"))), Planted, "second")
	h.wantFound(t, h.accept(t, h.Body()))
}

// wantFound checks that a delivery held these records and no others, bad ones included.
func (h Harness) wantFound(t *testing.T, parsed receiver.Parsed, want ...string) {
	t.Helper()
	if got := h.Found(parsed); !slices.Equal(got, want) {
		t.Errorf("got the records %q, want %q", got, want)
	}
	if n := len(parsed.Found) + len(parsed.Pointers); n != len(want) || len(parsed.Bad) != 0 {
		t.Errorf("got %d records and %d bad ones, want %d", n, len(parsed.Bad), len(want))
	}
}

func (h Harness) testExtended(t *testing.T) {
	h.wantFound(t, h.accept(t, h.Body(h.Extended(Planted))), Planted)
}

func (h Harness) testUnsigned(t *testing.T) {
	for _, field := range h.Proof {
		header := h.Sign(h.Body(h.Record(Planted)))
		header.Del(field)
		if err := h.Source.Admit(header); !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("got %v from Admit without %s, want ErrUnverified", err, field)
		}
	}
	if err := h.Source.Admit(http.Header{}); !errors.Is(err, receiver.ErrUnverified) {
		t.Errorf("got %v from Admit of an empty header, want ErrUnverified", err)
	}
}

func (h Harness) testForged(t *testing.T) {
	body := h.Body(h.Record(Planted))
	for name, forge := range h.Forged {
		if err := h.check(t, forge(body), body); !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("%s: got %v, want ErrUnverified", name, err)
		}
	}
}

func (h Harness) testChanged(t *testing.T) {
	if h.SenderOnly {
		return
	}
	body := h.Body(h.Record(Planted))
	header := h.Sign(body)
	for i := range body {
		changed := bytes.Clone(body)
		changed[i] ^= 1
		if err := h.check(t, header, changed); !errors.Is(err, receiver.ErrUnverified) {
			t.Fatalf("byte %d changed: got %v, want ErrUnverified", i, err)
		}
	}
	for name, changed := range map[string][]byte{
		"longer": append(bytes.Clone(body), '\n'), "shorter": body[:len(body)-1], "empty": nil,
	} {
		if err := h.check(t, header, changed); !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("body %s: got %v, want ErrUnverified", name, err)
		}
	}
}

func (h Harness) testBad(t *testing.T) {
	for name, record := range h.Bad {
		records, good := []string{h.Record("first"), record, h.Record("last")}, []string{"first", "last"}
		if h.Single {
			records, good = []string{record}, nil
		}
		parsed := h.accept(t, h.Body(records...))
		if got := h.Found(parsed); !slices.Equal(got, good) {
			t.Errorf("%s: got the records %q, want the good ones", name, got)
		}
		if len(parsed.Bad) != 1 {
			t.Errorf("%s: got %d bad records, want 1", name, len(parsed.Bad))
			continue
		}
		bad := parsed.Bad[0]
		if bad.Reason == "" || strings.Contains(bad.Reason, Planted) {
			t.Errorf("%s: got the reason %q, want one that holds nothing of the record", name, bad.Reason)
		}
		if bad.Raw.Reveal() != record {
			t.Errorf("%s: the bad record is not kept as it came", name)
		}
	}
}

func (h Harness) testNotFormat(t *testing.T) { h.testRefused(t, h.NotFormat, receiver.ErrFormat) }

func (h Harness) testIgnored(t *testing.T) { h.testRefused(t, h.Ignored, receiver.ErrIgnored) }

// testRefused checks that signed bodies hold nothing that is stored, for this reason.
func (h Harness) testRefused(t *testing.T, bodies map[string][]byte, want error) {
	for name, body := range bodies {
		header := h.Sign(body)
		if err := h.check(t, header, body); err != nil {
			t.Errorf("%s: got %v from a signed body, want nil", name, err)
		}
		parsed, err := h.Source.Parse(header, body)
		leaksNothing(t, err)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if n := len(parsed.Found) + len(parsed.Pointers) + len(parsed.Bad); n != 0 {
			t.Errorf("%s: got %d records beside the error, want none", name, n)
		}
	}
}

func (h Harness) testConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			token := fmt.Sprintf("token-%d", i)
			h.wantFound(t, h.accept(t, h.Body(h.Record(token))), token)
		})
	}
	wg.Wait()
}

// accept takes a signed delivery through the source.
func (h Harness) accept(t *testing.T, body []byte) receiver.Parsed {
	t.Helper()
	header := h.Sign(body)
	if err := h.check(t, header, body); err != nil {
		t.Errorf("got %v from a signed delivery, want nil", err)
		return receiver.Parsed{}
	}
	parsed, err := h.Source.Parse(header, body)
	if err != nil {
		t.Errorf("got %v from Parse of a signed delivery, want nil", err)
	}
	return parsed
}

// check admits and verifies, as the Handler does.
func (h Harness) check(t *testing.T, header http.Header, body []byte) error {
	t.Helper()
	err := h.Source.Admit(header)
	if err == nil {
		err = h.Source.Verify(t.Context(), header, body)
	}
	leaksNothing(t, err)
	return err
}

func leaksNothing(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var shown bytes.Buffer
	_, _ = io.WriteString(&shown, fmt.Sprintf("%v %+v %#v", err, err, err)) // a buffer takes everything
	_ = json.NewEncoder(&shown).Encode(err)                                 // not every error can be encoded
	if strings.Contains(shown.String(), Planted) {
		t.Error("an error holds the planted token")
	}
}

// Tokens is the Found of a source whose records hold the token.
func Tokens(p receiver.Parsed) []string {
	var found []string
	for _, c := range p.Found {
		found = append(found, c.Secret.Reveal())
	}
	return found
}
