package ibmfake

import (
	"context"
	"net/http"
	"path"
	"time"
)

// Forever makes a fault meet every call that it matches.
const Forever = -1

// The views of a key that [Fault.Half] names.
const (
	ByID    = "id"    // what GET /v1/apikeys/{id} and the list see
	ByValue = "value" // what details and the token endpoint see
)

// Fault is something that goes wrong with a call. Fields combine: what is not set goes as usual.
type Fault struct {
	Method string `json:"method,omitempty"` // empty: any
	Path   string `json:"path,omitempty"`   // as for path.Match, such as /v1/apikeys/*/disable; empty: any
	Times  int    `json:"times,omitempty"`  // how many calls meet it; 0: one; Forever
	Skip   int    `json:"skip,omitempty"`   // how many matching calls go as usual before

	// Delay is waited before anything else happens; in JSON, nanoseconds.
	Delay time.Duration `json:"delay,omitempty"`
	// Commit lets the call have its effect before the fault's answer, or the cut, hides it.
	Commit bool `json:"commit,omitempty"`
	// Lie answers 204 and does nothing.
	Lie bool `json:"lie,omitempty"`
	// Half lets a write reach one view of the key only: ByID or ByValue.
	Half string `json:"half,omitempty"`
	// Cut closes the connection without an answer.
	Cut bool `json:"cut,omitempty"`

	Status      int               `json:"status,omitempty"` // of the answer instead of IAM's; 0: IAM answers
	Header      map[string]string `json:"header,omitempty"` // Retry-After, Location ...
	Body        string            `json:"body,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
}

// AddFault puts a fault in front of the calls that it matches. A call meets the oldest one that is left.
func (f *Fake) AddFault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.faults = append(f.faults, &fault)
}

// ClearFaults takes every fault away.
func (f *Fake) ClearFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// take returns the fault that a call meets, used up by one; the zero Fault when there is none.
func (f *Fake) take(r *http.Request) Fault {
	for _, fault := range f.faults {
		if fault.Times == 0 || !fault.matches(r) {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return *fault
	}
	return Fault{}
}

func (fault Fault) matches(r *http.Request) bool {
	if fault.Method != "" && fault.Method != r.Method {
		return false
	}
	matched, err := path.Match(fault.Path, r.URL.Path)
	return fault.Path == "" || err == nil && matched
}

// replace answers a call as the fault says, letting it have its effect where the fault does.
func (fault Fault) replace(c *call) answer {
	if fault.Lie {
		return answer{status: http.StatusNoContent}
	}
	if fault.Status == 0 && !fault.Cut {
		return c.serve()
	}
	if fault.Commit {
		c.serve()
	}
	return answer{status: fault.Status, header: fault.Header, raw: fault.Body, contentType: fault.ContentType}
}

// wait reports whether the delay passed before the caller went away.
func wait(ctx context.Context, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	select {
	case <-time.After(delay):
		return true
	case <-ctx.Done():
		return false
	}
}
