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
	// shared is for a store that others use too, who may adjust its streams where we may not.
	shared bool
}

// adjustable are the fields of a stream, by the name that NATS gives them, that may differ from the table: the limits
// which follow the configuration without losing a message, whether it takes batches, which stores made by an older
// version do not say, and what is a note only.
var adjustable = []string{"max_bytes", "duplicate_window", "allow_atomic", "description", "metadata", "placement"}

// lay checks every stream that exists, then creates what is missing and adjusts what may be. Nothing is changed when a
// check fails.
func (j *JetStream) lay(ctx context.Context) error {
	j.streams = make(map[string]jetstream.Stream)
	for _, s := range table {
		if err := j.find(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range table {
		handle, err := j.settle(ctx, s, j.streams[s.name])
		if err != nil {
			return err
		}
		j.streams[s.name] = handle
	}
	return nil
}

// find adds a stream to those of the store, if it exists and is as it should be.
func (j *JetStream) find(ctx context.Context, s stream) error {
	handle, err := j.lookup(ctx, s)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return j.layout.vacant(s.name)
	}
	if err != nil {
		return fmt.Errorf("looking for stream %s: %w", s.name, err)
	}
	if err := j.layout.check(s, handle.CachedInfo().Config); err != nil {
		return err
	}
	j.streams[s.name] = handle
	return nil
}

func (j *JetStream) lookup(ctx context.Context, s stream) (handle jetstream.Stream, err error) {
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		handle, err = j.js.Stream(ctx, s.name)
		return err
	}, apiInfo+s.name)
	return handle, err
}

// check says why a stream that is there is not ours to use.
func (l layout) check(s stream, got jetstream.StreamConfig) error {
	if l.asFound {
		return nil
	}
	if keys := got.Metadata[keysEntry]; s.name == Incidents && keys != l.keys && !l.keyless() {
		return fmt.Errorf("it belongs to other keys (%q, not %q); nothing was changed", keys, l.keys)
	}
	field, err := difference(got, s.config(l.maxStore, l.replicas, l.keys))
	switch {
	case err != nil:
		return fmt.Errorf("checking stream %s: %w", s.name, err)
	case field == "num_replicas":
		return fmt.Errorf("stream %s is kept on %d nodes, and the configuration says %d; nothing was changed now",
			s.name, got.Replicas, l.replicas)
	case field != "":
		return fmt.Errorf("stream %s is not as stanch made it: %s was changed; nothing was changed now", s.name, field)
	}
	return nil
}

// keyless reports whether we hold no keys that those of the store could be compared with, as a notifier does not.
func (l layout) keyless() bool { return l.shared && l.keys == "" }

// settle creates a stream that was not found, and adjusts the limits of one that was.
func (j *JetStream) settle(ctx context.Context, s stream, found jetstream.Stream) (jetstream.Stream, error) {
	want := s.config(j.layout.maxStore, j.layout.replicas, j.layout.keys)
	if found == nil {
		return j.create(ctx, want)
	}
	if j.layout.asFound {
		return found, nil
	}
	adjusted := found.CachedInfo().Config
	adjusted.MaxBytes, adjusted.Duplicates = want.MaxBytes, want.Duplicates
	adjusted.AllowAtomicPublish = want.AllowAtomicPublish
	if same(found.CachedInfo().Config, adjusted) {
		return found, nil
	}
	return j.adjust(ctx, found, adjusted)
}

// create makes a stream that is missing.
func (j *JetStream) create(ctx context.Context, want jetstream.StreamConfig) (made jetstream.Stream, err error) {
	if j.layout.keyless() {
		return nil, fmt.Errorf("stream %s is missing, and who holds no keys cannot make it: %s", want.Name, howToMake)
	}
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		made, err = j.js.CreateStream(ctx, want)
		return err
	}, apiCreate+want.Name)
	if errors.Is(err, ErrForbidden) {
		return nil, fmt.Errorf("stream %s is missing: %s: %w", want.Name, howToMake, err)
	}
	if err != nil {
		return nil, fmt.Errorf("creating stream %s: %w", want.Name, err)
	}
	return made, nil
}

const howToMake = "`stanch streams create` makes it with an operator's credential"

// adjust changes the limits of a stream. Of a store that others use too they stay as they are where we may not.
func (j *JetStream) adjust(
	ctx context.Context, found jetstream.Stream, want jetstream.StreamConfig,
) (adjusted jetstream.Stream, err error) {
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		adjusted, err = j.js.UpdateStream(ctx, want)
		return err
	}, apiUpdate+want.Name)
	if j.layout.shared && errors.Is(err, ErrForbidden) {
		j.log.Warn("the limits of a stream are not those of the configuration", "stream", want.Name,
			"max_bytes", found.CachedInfo().Config.MaxBytes, "configured", want.MaxBytes)
		return found, nil
	}
	if err != nil {
		return nil, fmt.Errorf("adjusting stream %s: %w", want.Name, err)
	}
	return adjusted, nil
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
