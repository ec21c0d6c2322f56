package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// layout is what the streams of a store are to look like.
type layout struct {
	maxStore int64 // bytes, all streams together
	replicas int
	keys     string // id of the fingerprint key that the store belongs to
	// vacant is asked before a stream is created, and says why it must not be.
	vacant func(stream string) error
	// asFound is for a store that is to be looked at: streams that are there are neither checked nor adjusted.
	asFound bool
}

// adjustable are the fields of a stream, by the name that NATS gives them, that may differ from the table: the limits
// which follow the configuration without losing a message, whether it takes batches, which stores made by an older
// version do not say, and what is a note only.
var adjustable = []string{"max_bytes", "duplicate_window", "allow_atomic", "description", "metadata", "placement"}

// lay checks every stream that exists, then creates what is missing and adjusts what may be. Nothing is changed when a
// check fails.
func (l layout) lay(ctx context.Context, js jetstream.JetStream) (map[string]jetstream.Stream, error) {
	found := make(map[string]jetstream.Stream)
	for _, s := range table {
		if err := l.find(ctx, js, s, found); err != nil {
			return nil, err
		}
	}
	for _, s := range table {
		handle, err := l.settle(ctx, js, s, found[s.name])
		if err != nil {
			return nil, err
		}
		found[s.name] = handle
	}
	return found, nil
}

// find adds a stream to those found, if it exists and is as it should be.
func (l layout) find(ctx context.Context, js jetstream.JetStream, s stream, found map[string]jetstream.Stream) error {
	handle, err := js.Stream(ctx, s.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return l.vacant(s.name)
	}
	if err != nil {
		return fmt.Errorf("looking for stream %s: %w", s.name, err)
	}
	if l.asFound {
		found[s.name] = handle
		return nil
	}
	got := handle.CachedInfo().Config
	if s.name == Incidents && got.Metadata[keysEntry] != l.keys {
		return fmt.Errorf("it belongs to other keys (%q, not %q); nothing was changed", got.Metadata[keysEntry], l.keys)
	}
	field, err := difference(got, s.config(l.maxStore, l.replicas, l.keys))
	if err != nil {
		return fmt.Errorf("checking stream %s: %w", s.name, err)
	}
	if field != "" {
		return fmt.Errorf("stream %s is not as stanch made it: %s was changed; nothing was changed now", s.name, field)
	}
	found[s.name] = handle
	return nil
}

// settle creates a stream that was not found, and adjusts the limits of one that was.
func (l layout) settle(
	ctx context.Context, js jetstream.JetStream, s stream, found jetstream.Stream,
) (jetstream.Stream, error) {
	want := s.config(l.maxStore, l.replicas, l.keys)
	if found == nil {
		handle, err := js.CreateStream(ctx, want)
		if err != nil {
			return nil, fmt.Errorf("creating stream %s: %w", s.name, err)
		}
		return handle, nil
	}
	if l.asFound {
		return found, nil
	}
	got := found.CachedInfo().Config
	adjusted := got
	adjusted.MaxBytes, adjusted.Duplicates = want.MaxBytes, want.Duplicates
	adjusted.AllowAtomicPublish = want.AllowAtomicPublish
	if same(got, adjusted) {
		return found, nil
	}
	handle, err := js.UpdateStream(ctx, adjusted)
	if err != nil {
		return nil, fmt.Errorf("adjusting stream %s: %w", s.name, err)
	}
	return handle, nil
}

// same compares what settle adjusts.
func same(a, b jetstream.StreamConfig) bool {
	return a.MaxBytes == b.MaxBytes && a.Duplicates == b.Duplicates && a.AllowAtomicPublish == b.AllowAtomicPublish
}

// difference names the first field, as NATS calls it, in which a stream differs and must not; empty when there is none.
// It compares every field that there is, so that one which a later version adds is not overlooked.
func difference(got, want jetstream.StreamConfig) (string, error) {
	g, err := fields(got)
	if err != nil {
		return "", err
	}
	w, err := fields(want)
	if err != nil {
		return "", err
	}
	names := maps.Clone(g)
	maps.Copy(names, w)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(adjustable, name) && !bytes.Equal(g[name], w[name]) {
			return name, nil
		}
	}
	return "", nil
}

func fields(c jetstream.StreamConfig) (map[string]json.RawMessage, error) {
	encoded, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	return out, json.Unmarshal(encoded, &out)
}
