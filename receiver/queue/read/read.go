// Package read reads the streams of a NATS server: the last message of a subject, the history of a filter, and how much a
// stream holds.
package read

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/layout"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

// Reader is the part of a [queue.Store] that reads. Methods are safe for concurrent use.
type Reader struct {
	client  *natsclient.Client
	layout  layout.Layout
	streams map[string]jetstream.Stream // by name
}

// New returns a reader of streams that were laid out.
func New(client *natsclient.Client, l layout.Layout, laid map[string]jetstream.Stream) *Reader {
	return &Reader{client: client, layout: l, streams: laid}
}

// Last implements [queue.Store]. It asks the leader: AllowDirect is off.
func (r *Reader) Last(ctx context.Context, subject string) (queue.Message, error) {
	s, err := streams.Of(subject)
	if err != nil {
		return queue.Message{}, err
	}
	return r.following(ctx, s, subject, 0)
}

// following is the first message on a subject from a sequence on, or its last one for 0, or queue.ErrNoMessage.
func (r *Reader) following(ctx context.Context, s streams.Stream, subject string, seq uint64) (queue.Message, error) {
	var raw *jetstream.RawStreamMsg
	err := r.client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) (err error) {
		if seq == 0 {
			raw, err = r.streams[s.Name].GetLastMsgForSubject(ctx, subject)
		} else {
			raw, err = r.streams[s.Name].GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		}
		return err
	}, natsclient.APIMessageGet+s.Name)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return queue.Message{}, queue.ErrNoMessage
	}
	if err != nil {
		return queue.Message{}, fmt.Errorf("reading a message of %s: %w", s.Name, err)
	}
	return queue.Message{
		Subject: raw.Subject,
		ID:      raw.Header.Get(jetstream.MsgIDHeader),
		Data:    raw.Data,
		Seq:     raw.Sequence,
		Time:    raw.Time,
	}, nil
}

// Stats implements [queue.Store].
func (r *Reader) Stats(ctx context.Context, name string) (queue.Stats, error) {
	s, err := streams.Named(name)
	if err != nil {
		return queue.Stats{}, err
	}
	info, err := r.info(ctx, name)
	if err != nil {
		return queue.Stats{}, fmt.Errorf("asking about %s: %w", name, err)
	}
	changed, err := r.layout.Difference(s, info.Config)
	if err != nil {
		return queue.Stats{}, fmt.Errorf("comparing %s: %w", name, err)
	}
	stats := queue.Stats{
		Messages: info.State.Msgs, Bytes: info.State.Bytes, First: info.State.FirstSeq, Last: info.State.LastSeq,
		Changed: changed,
	}
	if stats.Messages > 0 {
		stats.Oldest = info.State.FirstTime
	}
	return stats, nil
}

func (r *Reader) info(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = r.client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		info, err = r.streams[name].Info(ctx)
		return err
	}, natsclient.APIInfo+name)
	return info, err
}
