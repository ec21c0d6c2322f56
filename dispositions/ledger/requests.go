package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// maxAnswer bounds an answer, in bytes: what NATS carries in one message, less some room.
const maxAnswer = 900 << 10

// sightingsAnswer is what is answered on queue.SightingRequests. The question is the incident's id.
type sightingsAnswer struct {
	Sightings []leak.Sighting `json:"sightings"`
	Problem   string          `json:"problem,omitempty"` // why there are none
}

// Reply tells processes that do not hold the keys of days where keys were seen. It returns nil when ctx ends.
func (s *Sightings) Reply(ctx context.Context, requests queue.Requests) error {
	return requests.Reply(ctx, queue.SightingRequests, func(ctx context.Context, question []byte) []byte {
		seen, err := s.Of(ctx, leak.Fingerprint(question))
		answer := sightingsAnswer{Sightings: seen}
		if err != nil {
			answer.Problem = err.Error()
		}
		return answer.encode()
	})
}

// encode leaves out the oldest sightings of very many.
func (a sightingsAnswer) encode() []byte {
	for {
		data, err := json.Marshal(a)
		if err != nil {
			return nil
		}
		if len(data) <= maxAnswer {
			return data
		}
		a.Sightings = a.Sightings[len(a.Sightings)/2:]
	}
}

// RequestSightings asks an engine where the key of an incident was seen, for a process that does not hold the keys of
// days. Of very many sightings the oldest are left out.
func RequestSightings(ctx context.Context, requests queue.Requests, f leak.Fingerprint) ([]leak.Sighting, error) {
	data, err := requests.Request(ctx, queue.SightingRequests, []byte(f))
	if err != nil {
		return nil, fmt.Errorf("asking for sightings: %w", err)
	}
	var answer sightingsAnswer
	if json.Unmarshal(data, &answer) != nil {
		return nil, errors.New("asking for sightings: the answer is not in the format")
	}
	if answer.Problem != "" {
		return nil, fmt.Errorf("asking for sightings: an engine answers: %s", answer.Problem)
	}
	return answer.Sightings, nil
}
