package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullExpiry is how long the server keeps one request of a worker; pullGrace, how much later than that the worker
	// asks again even if the server did not say that the request is over.
	pullExpiry = 30 * time.Second
	pullGrace  = 5 * time.Second
	// maxRefusals is how many requests in a row may be refused, one a second: a new leader is elected within that time.
	maxRefusals = 30
	// statusExpired is the status of a request that waited in vain, which is no refusal.
	statusExpired = "408"
)

// puller asks a durable consumer for one message at a time: none waits in this process while another could work on it.
// The iterator of nats.go is not used, because with one message a request it loses a request now and then (it skips the
// next while it still notes the last as being sent) and then stands still for half a minute.
type puller struct {
	conn     *nats.Conn
	consumer string // subject on which the consumer is asked
	replies  *nats.Subscription
	refusals int // in a row
}

// newPuller opens a puller. When ctx ends it asks no more, and what the server has sent by then still comes out.
func newPuller(ctx context.Context, conn *nats.Conn, c Consumer) (*puller, error) {
	replies, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = replies.Drain() }) // an error means that the connection is closed
	subject := fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", c.Stream, c.Name)
	return &puller{conn: conn, consumer: subject, replies: replies}, nil
}

// next returns the next message. It blocks until there is one, or until ctx has ended.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	for {
		if err := p.ask(ctx); err != nil {
			return nil, err
		}
		m, err := p.replies.NextMsg(pullExpiry + pullGrace)
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m.Reply != "" {
			p.refusals = 0
			return m, nil
		}
		if err := p.refused(ctx, m); err != nil {
			return nil, err
		}
	}
}

// ask requests one message, unless ctx has ended.
func (p *puller) ask(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	request, err := json.Marshal(map[string]int64{"batch": 1, "expires": int64(pullExpiry)})
	if err != nil {
		return err
	}
	return p.conn.PublishRequest(p.consumer, p.replies.Subject, request)
}

// refused waits a second after a request that was refused, and gives up when too many were.
func (p *puller) refused(ctx context.Context, m *nats.Msg) error {
	status := m.Header.Get("Status")
	if status == statusExpired {
		p.refusals = 0
		return nil
	}
	if p.refusals++; p.refusals > maxRefusals {
		return fmt.Errorf("asking for a message: status %s %s", status, m.Header.Get("Description"))
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	return nil
}
