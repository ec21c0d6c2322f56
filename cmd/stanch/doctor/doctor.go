// Package doctor examines everything that the service depends on: whether it is reachable, authorised, durable and on time. It
// changes nothing. A part that hangs or panics costs only its own findings.
package doctor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"stanch/cmd/stanch/config"
	"stanch/receiver/leak"
)

// A part must answer within askTimeout, and is given up after giveUpTimeout.
const (
	askTimeout    = 14 * time.Second
	giveUpTimeout = 15 * time.Second
)

// Examine examines everything that a configuration names and its roles need, and a serve that runs on its store. Its findings are in
// the order in which an alert meets the parts. It takes 15 seconds at most.
func Examine(ctx context.Context, c *config.Config) []Finding { return examine(ctx, parts(c)) }

// part is one thing that doctor examines.
type part struct {
	name string
	ask  func(ctx context.Context) []leak.Finding
}

// Finding is something that was found, with the name of the part.
type Finding struct {
	Part string `json:"part"`
	leak.Finding
}

// examine examines all parts at once, and returns their findings in the order of the parts.
func examine(ctx context.Context, parts []part) []Finding {
	found := make([][]leak.Finding, len(parts))
	var group errgroup.Group
	for n, p := range parts {
		group.Go(func() error {
			found[n] = p.examine(ctx)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	all := []Finding{}
	for n, p := range parts {
		for _, f := range found[n] {
			all = append(all, Finding{Part: p.name, Finding: f})
		}
	}
	return all
}

// examine asks one part. A part that hangs or panics has failed, but nothing else has.
func (p part) examine(ctx context.Context) []leak.Finding {
	done := make(chan []leak.Finding, 1)
	go func() {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		done <- p.guarded(asking)
	}()
	var found leak.Findings
	select {
	case found = <-done:
	case <-time.After(giveUpTimeout):
		found.Broken("examination", "it did not end within %v", giveUpTimeout)
	}
	if len(found) == 0 {
		found.Good("examination", "nothing to examine")
	}
	return found
}

// guarded turns a panic into a finding. It does not repeat the message, which may hold a secret.
func (p part) guarded(ctx context.Context) (found leak.Findings) {
	defer func() {
		if cause := recover(); cause != nil {
			found.Broken("examination", "it ended in a panic (%T), which is a fault of stanch", cause)
		}
	}()
	return p.ask(ctx)
}
