package receiver

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// requester asks the engine and returns its answer.
type requester interface {
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
}

// labelTimeout is how long after the receipt of a delivery its labels may arrive: GitHub counts an answer after 15 seconds
// as none. Labels unknown by then are left out.
const labelTimeout = 10 * time.Second

// maxQuestions is how many alerts one question holds: a NATS message carries one mebibyte.
const maxQuestions = 5000

// feedback asks the engine what the secrets of a stored delivery were, and returns the body of the answer; nil: there is
// none. Labels are a courtesy: whatever goes wrong with them, the delivery is stored.
func (h *Handler) feedback(ctx context.Context, source Source, d *delivery, found []leak.Content) []byte {
	labeller, ok := source.(Labeller)
	if !ok || !labeller.WantsFeedback() || h.requests == nil || len(found) == 0 {
		return nil
	}
	until := d.at.Add(labelTimeout)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	labels := make([]leak.Label, len(found))
	for from := 0; from < len(found); from += maxQuestions {
		to := min(from+maxQuestions, len(found))
		if err := h.askLabels(ctx, until, d.named[from:to], labels[from:to]); err != nil {
			h.log.WarnContext(ctx, "labels are not known in time", "source", d.source, "err", err)
			break
		}
	}
	h.metrics.labelled(d.source, labels)
	return labeller.Feedback(found, labels)
}

// askLabels fills in the labels of the named alerts, as far as the engine knows them.
func (h *Handler) askLabels(ctx context.Context, until time.Time, named []leak.Labelled, labels []leak.Label) error {
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

// writeFeedback answers with what the secrets were.
func writeFeedback(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the sender may be gone
}
