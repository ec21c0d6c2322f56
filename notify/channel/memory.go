package channel

import (
	"context"
	"maps"
	"sync"

	"stanch/notify"
	"stanch/receiver/leak"
)

// NewMemory returns a memory that ends with the process.
func NewMemory() notify.Memory { return &scratch{texts: map[leak.Fingerprint]string{}} }

type scratch struct {
	mu    sync.Mutex
	texts map[leak.Fingerprint]string
}

func (s *scratch) Load(_ context.Context, incident leak.Fingerprint) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts[incident], nil
}

func (s *scratch) Save(_ context.Context, incident leak.Fingerprint, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[incident] = text
	return nil
}

func (s *scratch) All(context.Context) (map[leak.Fingerprint]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.texts), nil
}
