package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// demoTimeout is how long the demo waits for the last key. It takes a fraction of a second; a failing one must end.
const demoTimeout = 30 * time.Second

// demonstration is everything that the demo runs: the service, and the world around it.
type demonstration struct {
	dir      string
	out      io.Writer
	adapters config.Registry
	samples  []*sample
	iam      *ibmfake.Server
	hub      *hub
	lab      *lab
	signer   *feedfake.Signer
	keys     *vendorfake.Server
	public   string // URL
	private  string // URL
}

func (d *demonstration) store() string { return filepath.Join(d.dir, "data") }

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

func writeSecret(file string, value leak.Secret) error {
	if err := os.WriteFile(file, []byte(value.Reveal()), 0o600); err != nil {
		return fmt.Errorf("writing the demo's secrets: %w", err)
	}
	return nil
}

// incidentOf waits until a key's incident is as it should be.
func (d *demonstration) incidentOf(ctx context.Context, key string, is func(api.Incident) bool) (api.Incident, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for {
		views, err := api.Dial(d.store()).Incidents(ctx, "", api.DefaultList)
		if err != nil {
			return api.Incident{}, err
		}
		for _, v := range views {
			if v.Key.ID == key && is(v) {
				return v, nil
			}
		}
		select {
		case <-ctx.Done():
			return api.Incident{}, errors.New("an incident did not come to its end in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stepsAfter tells an incident's steps with the time from the receipt to each.
func stepsAfter(v api.Incident) string {
	var told []string
	for _, step := range v.Steps {
		told = append(told, fmt.Sprintf("%s %.1fms", step.Step, float64(step.At.Sub(v.ReceivedAt).Microseconds())/1000))
	}
	return strings.Join(told, " > ")
}
