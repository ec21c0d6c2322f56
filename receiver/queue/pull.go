package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullExpiry is how long the server keeps one request.
	pullExpiry = 30 * time.Second
	// pullHeartbeat is how often the server says of a request that it still has it, and maxSilence is after how long
	// without a word it is asked again: a node that died, or lost its lead, takes its requests with it and does not say so.
	pullHeartbeat = 3 * time.Second
	maxSilence    = 7 * time.Second
)

// Statuses of what the server says to a request that is no message (nats-server, consumer.go).
const (
	statusAlive   = "100" // the heartbeat
	statusExpired = "408" // it waited in vain, which is no refusal
)

// errSilent means that the server does not say any more that it has our request.
var errSilent = errors.New("the server is silent")

// refused is a request that the server has not got any more, and why.
type refused struct{ status, description string }

func (r *refused) Error() string { return fmt.Sprintf("status %s %s", r.status, r.description) }

// puller asks a consumer for messages. Of a durable one it asks for one at a time: none waits in this process while
// another could work on it. The iterators of nats.go are not used: with one message a request they lose a request now and
// then and then stand still for half a minute, and those that read in order want the right to delete consumers.
type puller struct {
	conn     *nats.Conn
	consumer string // subject on which the consumer is asked
	replies  *nats.Subscription
	ended    func(error) error // says why replies ended
	batch    int               // how many messages are asked for at most
	owed     int               // asked for, and not received yet
	heard    time.Time         // when the server last said something
}

// puller opens a puller. When ctx ends it asks no more, and what the server has sent by then still comes out. When the
// server forbids to ask, it ends too.
func (j *JetStream) puller(ctx context.Context, stream, consumer string, batch int) (*puller, error) {
	conn, subject := j.js.Conn(), apiConsumerNext+stream+"."+consumer
	ctx, ended := j.rights.watch(ctx, subject)
	replies, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return nil, ended(err)
	}
	context.AfterFunc(ctx, func() { _ = replies.Drain() }) // an error means that the connection is closed
	return &puller{conn: conn, consumer: subject, replies: replies, ended: ended, batch: batch, heard: time.Now()}, nil
}

// next returns the next message. It returns nil when there is none within a time, errSilent or a refusal when the server
// is to be asked again, and any other error when it is over.
func (p *puller) next(ctx context.Context, within time.Duration) (*nats.Msg, error) {
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
	return nil, errSilent
}

// over turns what keeps us from asking into a refusal, if another attempt may help.
func (p *puller) over(err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubscription) {
		return p.ended(err)
	}
	p.owed = 0
	return &refused{"0", err.Error()}
}

// read tells a message from what the server says of our requests.
func (p *puller) read(m *nats.Msg) (*nats.Msg, error) {
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
		return nil, &refused{status, m.Header.Get("Description")}
	}
}

// pending is how many messages a request that is over did not get.
func pending(m *nats.Msg) int {
	n, _ := strconv.Atoi(m.Header.Get("Nats-Pending-Messages")) // 0: the server does not say
	return n
}

// ask requests messages when at most half of them are still to come, unless ctx has ended.
func (p *puller) ask(ctx context.Context) error {
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

// close ends a puller that is not to be used any more.
func (p *puller) close() {
	_ = p.replies.Unsubscribe() // an error means that it is over already
	_ = p.ended(nil)
}
