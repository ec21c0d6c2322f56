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

// sightingsAnswer is what is answered on queue.AskSightings. The question is the incident's id.
type sightingsAnswer struct {
	Sightings []leak.Sighting `json:"sightings"`
	Problem   string          `json:"problem,omitempty"` // why there are none
}

// Answer tells those who do not hold the keys of days where keys were seen, until ctx ends.
func (s *Sightings) Answer(ctx context.Context, line queue.Line) error {
	return line.Answer(ctx, queue.AskSightings, func(ctx context.Context, question []byte) []byte {
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

// Ask is how a process without the keys of days learns where the key of an incident was seen: it asks an engine on the
// line. Of very many sightings the oldest are left out.
func Ask(ctx context.Context, line queue.Line, f leak.Fingerprint) ([]leak.Sighting, error) {
	data, err := line.Ask(ctx, queue.AskSightings, []byte(f))
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
