package ledger

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// scanCost is how many messages of a stream are read in the time that it takes to begin and end one scan.
const scanCost = 40

// History is an incident as it stands, with all its steps, oldest first.
type History struct {
	leak.Incident
	Steps []leak.Step
}

// Heads returns the heads of incidents, in the order of their ids; ErrNoIncident if one of them is not in the log.
func (l *Ledger) Heads(ctx context.Context, ids ...leak.Fingerprint) ([]Head, error) {
	heads := make([]Head, 0, len(ids))
	for _, id := range ids {
		head, err := l.Read(ctx, id)
		if err != nil {
			return nil, err
		}
		if !head.Exists() {
			return nil, fmt.Errorf("reading incident %s: %w", id.Short(), ErrNoIncident)
		}
		heads = append(heads, head)
	}
	return heads, nil
}

// Histories returns the histories of incidents, whether they are few or all. It returns ErrNoIncident if one of them is
// not in the log, and ErrBroken if the chain of one is broken. Other incidents are not looked at.
func (l *Ledger) Histories(ctx context.Context, ids ...leak.Fingerprint) (map[leak.Fingerprint]History, error) {
	found := make(map[leak.Fingerprint]History, len(ids))
	last := make(map[leak.Fingerprint]string, len(ids)) // hash of the newest entry so far
	for message, err := range several(ctx, l.store, queue.Incidents, queue.IncidentSubject, ids) {
		if err != nil {
			return nil, fmt.Errorf("reading the steps of incidents: %w", err)
		}
		entry, err := decode(message)
		if err != nil {
			return nil, err
		}
		id := incidentOf(message)
		if entry.Prev != last[id] {
			return nil, fmt.Errorf("reading the steps of incident %s, entry %d: %w", id.Short(), message.Seq, ErrBroken)
		}
		last[id] = hash(message.Data)
		found[id] = History{entry.Incident, append(found[id].Steps, entry.Steps...)}
	}
	for _, id := range ids {
		if _, ok := found[id]; !ok {
			return nil, fmt.Errorf("reading the steps of incident %s: %w", id.Short(), ErrNoIncident)
		}
	}
	return found, nil
}

// several yields what a stream holds of incidents, each incident's messages oldest first.
func several(
	ctx context.Context, store queue.Store, stream string, filter func(leak.Fingerprint) string, ids []leak.Fingerprint,
) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) {
		wanted := make(map[leak.Fingerprint]bool, len(ids))
		for _, id := range ids {
			wanted[id] = true
		}
		scans, err := scansFor(ctx, store, stream, ids)
		if err != nil {
			yield(queue.Message{}, err)
			return
		}
		for _, id := range scans {
			for message, err := range store.Scan(ctx, filter(id)) {
				if err == nil && !wanted[incidentOf(message)] {
					continue
				}
				if !yield(message, err) || err != nil {
					return
				}
			}
		}
	}
}

// scansFor is what to scan for: each incident, or every one in a single pass over the stream if that is quicker.
func scansFor(ctx context.Context, store queue.Store, stream string, ids []leak.Fingerprint) ([]leak.Fingerprint, error) {
	if len(ids) < 2 {
		return ids, nil
	}
	stats, err := store.Stats(ctx, stream)
	if err == nil && stats.Messages < uint64(len(ids))*scanCost {
		return []leak.Fingerprint{"*"}, nil
	}
	return ids, err
}

// incidentOf is the incident that a message of the log, or a sighting, belongs to: the second token of its subject.
func incidentOf(m queue.Message) leak.Fingerprint {
	_, rest, _ := strings.Cut(m.Subject, ".")
	id, _, _ := strings.Cut(rest, ".")
	return leak.Fingerprint(id)
}
