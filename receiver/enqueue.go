package receiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// maxRaw is how much of a record a dead letter keeps, in bytes: even twice in base64 it fits its stream.
const maxRaw = 192 << 10

// What an alert says beside the secret is cut to these lengths, in bytes: a long place must not keep a good secret out of
// the queue.
const (
	maxURL  = 4 << 10
	maxName = 256
)

// ErrTooLong means that a token is too long for the message of an alert. A retry does not help.
var ErrTooLong = errors.New("the token is longer than an alert can be")

// enqueue seals everything that a delivery says and waits until all of it is on disk.
func (h *Handler) enqueue(ctx context.Context, d *delivery, p Parsed, body []byte) error {
	messages, err := d.messages(ctx, h.seal, p)
	if err != nil {
		return err
	}
	pointers, err := d.pointTo(p.Pointers, body)
	if err != nil {
		return err
	}
	messages = append(messages, pointers...)
	if err := h.append(ctx, messages); err != nil {
		return err
	}
	for _, m := range messages {
		switch m.Subject {
		case queue.AlertSubject(d.source):
			d.alerts++
		case queue.PointerSubject(d.source):
			d.pointers++
		default:
			d.bad++
		}
	}
	return nil
}

// append waits until all messages are on disk. They carry the trace on to whoever takes them.
func (h *Handler) append(ctx context.Context, messages []queue.Message) (err error) {
	if len(messages) == 0 {
		return nil
	}
	ctx, s := span.Produce(ctx, "enqueue")
	defer func() { s.End(err) }()
	if err := h.store.Append(ctx, messages...); err != nil {
		return fmt.Errorf("queueing a delivery: %w", err)
	}
	return nil
}

// messages seals the records of a delivery on all processors: one takes a tenth of a millisecond, and a delivery may
// hold thousands.
func (d *delivery) messages(ctx context.Context, seal sealer, p Parsed) (_ []queue.Message, err error) {
	ctx, s := span.Start(ctx, "seal")
	defer func() { s.End(err) }()
	messages := make([]queue.Message, len(p.Found)+len(p.Bad))
	d.named = make([]leak.Labelled, len(p.Found))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range messages {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("sealing a delivery: %w", err)
			}
			if i < len(p.Found) {
				messages[i], err = d.alert(seal, i, p.Found[i])
			} else {
				bad := p.Bad[i-len(p.Found)]
				messages[i], err = d.deadLetter(seal, leak.Content{Secret: bad.Raw}, bad.Reason)
			}
			return err
		})
	}
	return messages, group.Wait()
}

// alert makes the message of the alert i, or of a dead letter if no message can hold the alert.
func (d *delivery) alert(seal sealer, i int, c leak.Content) (queue.Message, error) {
	alert, message, err := sealAlert(seal, d.source, d.at, c)
	d.named[i] = leak.Labelled{Fingerprint: alert.Fingerprint, ID: alert.ID}
	if errors.Is(err, ErrTooLong) {
		return d.deadLetter(seal, c, ErrTooLong.Error())
	}
	return message, err
}

// AlertMessage seals one alert of a source and makes the message by which a [Handler] queues it; nothing is queued here.
// at is when its delivery was received. It is for alerts that come another way: a record that is read again, an alert that
// was fetched. It returns ErrTooLong when no message can hold the token. No error holds anything of the alert.
func AlertMessage(seal sealer, source string, at time.Time, c leak.Content) (queue.Message, error) {
	_, message, err := sealAlert(seal, source, at, c)
	return message, err
}

func sealAlert(seal sealer, source string, at time.Time, c leak.Content) (leak.Alert, queue.Message, error) {
	c.URL, c.Type, c.Place = cut(c.URL, maxURL), cut(c.Type, maxName), cut(c.Place, maxName)
	alert, err := seal.Seal(source, at, c)
	if err != nil {
		return leak.Alert{}, queue.Message{}, err
	}
	message, err := encode(queue.AlertSubject(source), alert.ID, alert)
	if err == nil && len(message.Data) > queue.MaxAlertSize {
		return alert, queue.Message{}, ErrTooLong
	}
	return alert, message, err
}

// deadLetter makes the message of a record that cannot become an alert. A record too long for it is cut.
func (d *delivery) deadLetter(seal sealer, c leak.Content, reason string) (queue.Message, error) {
	if raw := c.Secret.Reveal(); len(raw) > maxRaw {
		c.Secret = leak.NewSecret(raw[:maxRaw])
		reason = fmt.Sprintf("%s (only its first %d bytes are kept)", reason, maxRaw)
	}
	c.URL, c.Type, c.Place = cut(c.URL, maxURL), cut(c.Type, maxName), cut(c.Place, maxName)
	alert, err := seal.Seal(d.source, d.at, c)
	if err != nil {
		return queue.Message{}, err
	}
	letter := leak.DeadLetter{V: leak.Version, Reason: reason, Alert: alert, Record: true, At: d.at}
	return encode(queue.DeadSubject(d.source), alert.ID, letter)
}

// pointTo makes the messages of a delivery's pointers. Their ids depend on the body, so that a delivery which is sent
// again is absorbed while the same thing happening again is not.
func (d *delivery) pointTo(pointers []leak.Pointer, body []byte) ([]queue.Message, error) {
	if len(pointers) == 0 {
		return nil, nil
	}
	sum := sha256.Sum256(body)
	messages := make([]queue.Message, len(pointers))
	for i, p := range pointers {
		p.V, p.Source, p.ReceivedAt = leak.Version, d.source, d.at
		id := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %x", p.Source, p.Ref, p.Event, sum))
		m, err := encode(queue.PointerSubject(d.source), hex.EncodeToString(id[:]), p)
		if err != nil {
			return nil, err
		}
		messages[i] = m
	}
	return messages, nil
}

func encode(subject, id string, v any) (queue.Message, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encoding for %s: %w", subject, err)
	}
	return queue.Message{Subject: subject, ID: id, Data: data}, nil
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
