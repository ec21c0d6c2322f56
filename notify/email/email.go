// Package email sends notices as mails through a mail server, encrypted on the way there: in text and in HTML, one mail for
// each recipient, all mails about an incident in one thread.
package email

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/mail"
	"slices"
	"strings"

	"stanch/notify"
	"stanch/notify/channel"
)

type email struct {
	*channel.Book[thread]
	server  server
	from    *mail.Address
	to      []*mail.Address
	outside bool
	log     *slog.Logger
}

// thread is what is remembered of an incident.
type thread struct {
	First string   `json:"first,omitempty"` // id of the notice that the thread begins with
	Told  []string `json:"told,omitempty"`  // which recipients got the newest notices
}

// maxTold is how many notices are remembered for each recipient: more than can be under way at once.
const maxTold = 8

// Outside implements [notify.Outsider].
func (e *email) Outside() bool { return e.outside }

// Notify implements [notify.Notifier]. A recipient who has a notice does not get it again when it is retried for others. A
// recipient whom the mail server refuses for good is logged, and is an error only when nobody else got the notice.
func (e *email) Notify(ctx context.Context, n notify.Notice) error {
	return e.Change(ctx, n.Incident.ID, func(last thread) (thread, error) {
		if last.First == "" {
			last.First = n.ID
		}
		var missing []*mail.Address
		for _, to := range e.to {
			if !slices.Contains(last.Told, receipt(n, to)) {
				missing = append(missing, to)
			}
		}
		if len(missing) == 0 {
			return last, nil
		}
		got, err := e.send(ctx, n, last.First == n.ID, missing)
		for _, to := range got {
			last.Told = append(last.Told, receipt(n, to))
		}
		last.Told = last.Told[max(0, len(last.Told)-maxTold*len(e.to)):]
		return last, e.forgive(ctx, n, err, len(e.to)-len(missing)+len(got))
	})
}

// send sends a notice to some recipients over one connection, and returns who got it.
func (e *email) send(ctx context.Context, n notify.Notice, first bool, to []*mail.Address) ([]*mail.Address, error) {
	session, err := e.server.open(ctx)
	if err != nil {
		return nil, err
	}
	defer session.close()
	var got []*mail.Address
	var failed []error
	for _, address := range to {
		if err := session.send(ctx, e.message(n, first, address)); err != nil {
			failed = append(failed, err)
			continue
		}
		got = append(got, address)
	}
	return got, channel.Failed(failed...)
}

// forgive drops the error of recipients that were refused for good, when others got the notice.
func (e *email) forgive(ctx context.Context, n notify.Notice, err error, got int) error {
	if _, refused := errors.AsType[*notify.Refused](err); refused && got > 0 {
		e.log.WarnContext(ctx, "the mail server refuses some of the recipients", "incident", n.Incident.ID, "err", err)
		return nil
	}
	return err
}

// receipt is what is remembered once a recipient has a notice; it does not name the recipient.
func receipt(n notify.Notice, to *mail.Address) string { return digest(n.ID + " " + to.Address)[:16] }

// messageID names a mail; it stays the same when the mail is sent again. The first mail of a thread is named after the incident, so
// that later ones can refer to it.
func (e *email) messageID(text string) string {
	_, domain, _ := strings.Cut(e.from.Address, "@")
	return "stanch." + digest(text)[:32] + "@" + domain
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
