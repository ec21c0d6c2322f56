// Package layout makes the streams of a NATS server look like the table in package streams. A stream that somebody changed
// is refused rather than used, because it may lose what stanch promises to keep.
package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

const (
	// headerRoom is what a message's headers (id, expected sequence, trace) may take beside the data, in bytes. NATS counts
	// them in, but a limit that people configure or read about is one on the data alone.
	headerRoom = 4 << 10
	// keysEntry is the metadata of INCIDENTS that holds the id of the fingerprint key.
	keysEntry = "stanch_keys"
)

// Layout says what the streams of a store must look like.
type Layout struct {
	MaxStore int64 // bytes, all streams together
	Replicas int
	Keys     string // id of the fingerprint key that the store belongs to
	// Vacant is called before a stream is created. Its error says why that must not be done; nil: always create it.
	Vacant func(stream string) error
	// AsFound is for a store that is only looked at: streams that exist are neither checked nor adjusted.
	AsFound bool
	// Shared is for a store that other processes use too. They may be allowed to adjust its streams where we are not.
	Shared bool
}

// adjustable are the fields of a stream, as NATS calls them, that may differ from the table: limits that follow the
// configuration without losing a message, whether it takes batches, which stores made by an older version do not say, and
// mere notes.
var adjustable = []string{"max_bytes", "duplicate_window", "allow_atomic", "description", "metadata", "placement"}

// Lay checks every stream that exists, creates those that are missing and adjusts the limits that may change. It returns
// the streams by name. It changes nothing when a check fails.
func (l Layout) Lay(ctx context.Context, client *natsclient.Client) (map[string]jetstream.Stream, error) {
	found := make(map[string]jetstream.Stream)
	for _, s := range streams.All() {
		if err := l.find(ctx, client, s, found); err != nil {
			return nil, err
		}
	}
	for _, s := range streams.All() {
		laid, err := l.settle(ctx, client, s, found[s.Name])
		if err != nil {
			return nil, err
		}
		found[s.Name] = laid
	}
	return found, nil
}

// find adds a stream to those that were found, if it exists and is as it should be.
func (l Layout) find(ctx context.Context, client *natsclient.Client, s streams.Stream, found map[string]jetstream.Stream) error {
	handle, err := Lookup(ctx, client, s.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if l.Vacant == nil {
			return nil
		}
		return l.Vacant(s.Name)
	}
	if err != nil {
		return fmt.Errorf("looking for stream %s: %w", s.Name, err)
	}
	if err := l.Check(s, handle.CachedInfo().Config); err != nil {
		return err
	}
	found[s.Name] = handle
	return nil
}

// Lookup finds a stream on the server, or returns jetstream.ErrStreamNotFound.
func Lookup(ctx context.Context, client *natsclient.Client, name string) (found jetstream.Stream, err error) {
	err = client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		found, err = client.JS.Stream(ctx, name)
		return err
	}, natsclient.APIInfo+name)
	return found, err
}

// Check says why we must not use a stream with the settings that the server has; nil: we may.
func (l Layout) Check(s streams.Stream, got jetstream.StreamConfig) error {
	if l.AsFound {
		return nil
	}
	if keys := got.Metadata[keysEntry]; s.Name == queue.Incidents && keys != l.Keys && !l.keyless() {
		return fmt.Errorf("it belongs to other keys (%q, not %q); nothing was changed", keys, l.Keys)
	}
	field, err := l.Difference(s, got)
	switch {
	case err != nil:
		return fmt.Errorf("checking stream %s: %w", s.Name, err)
	case field == "num_replicas":
		return fmt.Errorf("stream %s is kept on %d nodes, and the configuration says %d; nothing was changed now",
			s.Name, got.Replicas, l.Replicas)
	case field != "":
		return fmt.Errorf("stream %s is not as stanch made it: %s was changed; nothing was changed now", s.Name, field)
	}
	return nil
}

// keyless reports whether we have no keys to compare with those of the store. A notifier has none.
func (l Layout) keyless() bool { return l.Shared && l.Keys == "" }

// settle creates a stream that was not found, or adjusts the limits of one that was.
func (l Layout) settle(
	ctx context.Context, client *natsclient.Client, s streams.Stream, found jetstream.Stream,
) (jetstream.Stream, error) {
	want := l.config(s)
	if found == nil {
		return l.create(ctx, client, want)
	}
	if l.AsFound {
		return found, nil
	}
	adjusted := found.CachedInfo().Config
	adjusted.MaxBytes, adjusted.Duplicates = want.MaxBytes, want.Duplicates
	adjusted.AllowAtomicPublish = want.AllowAtomicPublish
	if same(found.CachedInfo().Config, adjusted) {
		return found, nil
	}
	return l.adjust(ctx, client, found, adjusted)
}

// create makes a stream that is missing.
func (l Layout) create(
	ctx context.Context, client *natsclient.Client, want jetstream.StreamConfig,
) (made jetstream.Stream, err error) {
	if l.keyless() {
		return nil, fmt.Errorf("stream %s is missing, and a process without keys cannot make it: %s", want.Name, HowToMake)
	}
	err = client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		made, err = client.JS.CreateStream(ctx, want)
		return err
	}, natsclient.APICreate+want.Name)
	if errors.Is(err, queue.ErrForbidden) {
		return nil, fmt.Errorf("stream %s is missing: %s: %w", want.Name, HowToMake, err)
	}
	if err != nil {
		return nil, fmt.Errorf("creating stream %s: %w", want.Name, err)
	}
	return made, nil
}

// HowToMake tells an operator how to make a missing stream.
const HowToMake = "`stanch streams create` makes it with an operator's credential"

// adjust changes the limits of a stream. Where the store is shared and we may not, it leaves them as they are.
func (l Layout) adjust(
	ctx context.Context, client *natsclient.Client, found jetstream.Stream, want jetstream.StreamConfig,
) (adjusted jetstream.Stream, err error) {
	err = client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		adjusted, err = client.JS.UpdateStream(ctx, want)
		return err
	}, natsclient.APIUpdate+want.Name)
	if l.Shared && errors.Is(err, queue.ErrForbidden) {
		client.Log.Warn("the limits of a stream are not those of the configuration", "stream", want.Name,
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

// Difference names the first field, as NATS calls it, in which the settings that the server has differ from ours and must
// not; empty when there is none. It compares every field, so that it does not overlook one that a later version adds.
func (l Layout) Difference(s streams.Stream, got jetstream.StreamConfig) (string, error) {
	g, err := fields(got)
	if err != nil {
		return "", err
	}
	w, err := fields(l.config(s))
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

// MaxBytes is how much a stream may hold, in bytes.
func (l Layout) MaxBytes(s streams.Stream) int64 { return l.MaxStore / streams.Shares * s.Share }

// config is what we tell JetStream about a stream. DiscardNew: a full stream refuses new messages instead of dropping
// old ones; with one message a subject, a newer one still replaces the older. PersistMode stays the default, because the asynchronous one
// silently turns the disk flush off before each acknowledgement.
func (l Layout) config(s streams.Stream) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:               s.Name,
		Subjects:           []string{s.Prefix + ".>"},
		Retention:          jetstream.LimitsPolicy,
		Storage:            jetstream.FileStorage,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           l.MaxBytes(s),
		MaxMsgs:            -1,
		MaxConsumers:       -1,
		MaxMsgsPerSubject:  s.PerSubject,
		MaxMsgSize:         int32(s.Size + headerRoom),
		MaxAge:             s.Age,
		Duplicates:         streams.DedupWindow,
		Replicas:           l.Replicas,
		DenyDelete:         s.Permanent,
		DenyPurge:          s.Permanent,
		AllowAtomicPublish: s.Batches,
	}
	if s.WorkQueue {
		c.Retention = jetstream.WorkQueuePolicy
	}
	if s.Name == queue.Incidents {
		c.Metadata = map[string]string{keysEntry: l.Keys}
	}
	return c
}
