package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// newMemory returns the memory of the notifier of a configured name, in the store: what is saved is on disk. It outlives
// whatever serves the notifier, until it was not changed for queue.MaxToldAge.
func newMemory(store queue.Store, notifier string) notify.Memory { return memory{store, notifier} }

type memory struct {
	store    queue.Store
	notifier string
}

// Load implements [notify.Memory].
func (m memory) Load(ctx context.Context, incident leak.Fingerprint) (string, error) {
	last, err := m.store.Last(ctx, queue.ToldSubject(m.notifier, incident))
	switch {
	case errors.Is(err, queue.ErrNoMessage):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("remembering what was told: %w", err)
	}
	return string(last.Data), nil
}

// Save implements [notify.Memory].
func (m memory) Save(ctx context.Context, incident leak.Fingerprint, text string) error {
	subject := queue.ToldSubject(m.notifier, incident)
	var err error
	switch {
	case text == "":
		err = m.store.Remove(ctx, subject)
	case len(text) > notify.MaxMemory:
		err = fmt.Errorf("%w: %d bytes, and %d are kept", queue.ErrTooLarge, len(text), notify.MaxMemory)
	default:
		err = m.store.Append(ctx, queue.Message{Subject: subject, Data: []byte(text)})
	}
	if err != nil {
		return fmt.Errorf("noting what was told: %w", err)
	}
	return nil
}

// All implements [notify.Memory].
func (m memory) All(ctx context.Context) (map[leak.Fingerprint]string, error) {
	all := map[leak.Fingerprint]string{}
	for message, err := range m.store.Scan(ctx, queue.ToldSubject(m.notifier, "*")) {
		if err != nil {
			return nil, fmt.Errorf("remembering all that was told: %w", err)
		}
		incident := message.Subject[strings.LastIndexByte(message.Subject, '.')+1:]
		all[leak.Fingerprint(incident)] = string(message.Data)
	}
	return all, nil
}
