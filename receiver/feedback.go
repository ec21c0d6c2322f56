package receiver

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Labeller is a Source whose sender wants to hear in the answer what the secrets were that it reported.
type Labeller interface {
	// Feedback writes the body of the answer, JSON; nil: nothing is to be told. A secret without a label is left out.
	Feedback(found []leak.Content, labels []leak.Label) []byte
	// WantsFeedback reports whether it is configured to.
	WantsFeedback() bool
}

// requester asks the engine. queue.Requests is one.
type requester interface {
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
}

// labelBudget is how long after the receipt of a delivery its labels may come: GitHub counts an answer after 15 seconds as
// none. What is not known by then is left out.
const labelBudget = 10 * time.Second

// maxQuestions is how many alerts one question holds: NATS carries a mebibyte.
const maxQuestions = 5000

// feedback asks what the secrets of a stored delivery were, and returns the answer's body; nil: there is none. The labels are
// a favour: whatever goes wrong with them, the delivery is stored.
func (h *Handler) feedback(ctx context.Context, source Source, d *delivery, found []leak.Content) []byte {
	labeller, ok := source.(Labeller)
	if !ok || !labeller.WantsFeedback() || h.requests == nil || len(found) == 0 {
		return nil
	}
	until := d.at.Add(labelBudget)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	labels := make([]leak.Label, len(found))
	for from := 0; from < len(found); from += maxQuestions {
		to := min(from+maxQuestions, len(found))
		if err := h.ask(ctx, until, d.named[from:to], labels[from:to]); err != nil {
			h.log.WarnContext(ctx, "labels are not known in time", "source", d.source, "err", err)
			break
		}
	}
	h.metrics.labelled(d.source, labels)
	return labeller.Feedback(found, labels)
}

func (h *Handler) ask(ctx context.Context, until time.Time, named []leak.Labelled, labels []leak.Label) error {
	question, err := json.Marshal(leak.Questions{Until: until, Alerts: named})
	if err != nil {
		return err
	}
	data, err := h.requests.Request(ctx, queue.LabelRequests, question)
	if err != nil {
		return err
	}
	var answer leak.Questions
	if err := json.Unmarshal(data, &answer); err != nil || len(answer.Alerts) != len(named) {
		return errAnswer
	}
	for i, a := range answer.Alerts {
		if a.Fingerprint == named[i].Fingerprint {
			labels[i] = a.Label
		}
	}
	return nil
}

// writeFeedback answers with what is told of the secrets.
func writeFeedback(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the sender is gone
}
