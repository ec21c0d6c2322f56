// Package pull takes messages from the consumers of a NATS server: from durable ones a delivery at a time, and from a
// reader's many ahead. It notices when the server loses a request. The iterators of nats.go are not used: with one message a
// request they sometimes lose a request and then stand still for half a minute, and those that read in order need the right
// to delete consumers.
package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue/natsclient"
)

const (
	// pullExpiry is how long the server keeps one request.
	pullExpiry = 30 * time.Second
	// pullHeartbeat is how often the server says that it still has a request. After maxSilence without a word we ask again: a
	// node that died, or lost its lead, drops its requests without saying so.
	pullHeartbeat = 3 * time.Second
	maxSilence    = 7 * time.Second
)

// Statuses of what the server says to a request that is no message (nats-server, consumer.go).
const (
	statusAlive   = "100" // the heartbeat
	statusExpired = "408" // it waited in vain, which is no refusal
)

// ErrSilent means that the server no longer says that it has our request.
var ErrSilent = errors.New("the server is silent")

// RefusedError means that the server no longer has our request, and says why.
type RefusedError struct{ status, description string }

// Error says why.
func (r *RefusedError) Error() string { return fmt.Sprintf("status %s %s", r.status, r.description) }

// Puller asks a consumer for messages. It is not safe for concurrent use.
type Puller struct {
	conn     *nats.Conn
	consumer string // subject on which the consumer is asked
	replies  *nats.Subscription
	ended    func(error) error // says why replies ended
	batch    int               // how many messages are asked for at most
	owed     int               // asked for, and not received yet
	heard    time.Time         // when the server last said something
}

// Open opens a puller that asks for at most batch messages at a time. For a durable consumer that is one, so that no
// message waits in this process while another could work on it. When ctx ends the puller asks no more, and what the server
// has sent by then still comes out. It also ends when the server forbids to ask.
func Open(ctx context.Context, client *natsclient.Client, stream, consumer string, batch int) (*Puller, error) {
	conn, subject := client.Conn(), natsclient.APIConsumerNext+stream+"."+consumer
	ctx, ended := client.Watch(ctx, subject)
	replies, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return nil, ended(err)
	}
	context.AfterFunc(ctx, func() { _ = replies.Drain() }) // an error means that the connection is closed
	return &Puller{conn: conn, consumer: subject, replies: replies, ended: ended, batch: batch, heard: time.Now()}, nil
}

// Next returns the next message. It returns nil when none comes within a time, ErrSilent or a RefusedError when the caller
// should ask again, and any other error when the puller has ended.
func (p *Puller) Next(ctx context.Context, within time.Duration) (*nats.Msg, error) {
	if err := p.ask(ctx); err != nil {
		return nil, p.over(err)
	}
	m, err := p.replies.NextMsg(within)
	if err != nil && !errors.Is(err, nats.ErrTimeout) {
		return nil, p.over(err)
	}
	if err == nil {
		p.heard = time.Now()
		return p.read(m)
	}
	if time.Since(p.heard) < maxSilence {
		return nil, nil
	}
	p.owed, p.heard = 0, time.Now()
	return nil, ErrSilent
}

// over turns an error that keeps us from asking into a refusal, if another attempt may help.
func (p *Puller) over(err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubscription) {
		return p.ended(err)
	}
	p.owed = 0
	return &RefusedError{"0", err.Error()}
}

// read tells a message from what the server says about our requests.
func (p *Puller) read(m *nats.Msg) (*nats.Msg, error) {
	if m.Reply != "" {
		p.owed--
		return m, nil
	}
	switch status := m.Header.Get("Status"); status {
	case statusAlive:
		return nil, nil
	case statusExpired:
		p.owed -= max(1, pending(m))
		return nil, nil
	default:
		p.owed = 0
		return nil, &RefusedError{status, m.Header.Get("Description")}
	}
}

// pending is how many messages an expired request did not get.
func pending(m *nats.Msg) int {
	n, _ := strconv.Atoi(m.Header.Get("Nats-Pending-Messages")) // 0: the server does not say
	return n
}

// ask requests messages when at most half of them are still to come, unless ctx has ended.
func (p *Puller) ask(ctx context.Context) error {
	if ctx.Err() != nil || p.owed > p.batch/2 {
		return nil
	}
	more := p.batch - max(p.owed, 0)
	request, err := json.Marshal(map[string]int64{
		"batch": int64(more), "expires": int64(pullExpiry), "idle_heartbeat": int64(pullHeartbeat),
	})
	if err != nil {
		return err
	}
	if err := p.conn.PublishRequest(p.consumer, p.replies.Subject, request); err != nil {
		return err
	}
	p.owed = max(p.owed, 0) + more
	return nil
}

// Close ends a puller.
func (p *Puller) Close() {
	_ = p.replies.Unsubscribe() // an error means that it is over already
	_ = p.ended(nil)
}
