package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"time"

	gomail "github.com/wneessen/go-mail"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// sessionTimeout bounds each step of a session whose context sets no sooner end.
const sessionTimeout = 20 * time.Second

// server is a mail server, and how we sign in there.
type server struct {
	host     string
	port     int
	roots    *x509.CertPool // nil: the system's
	username string
	password leak.Secret
}

// session is a connection on which mails can be sent.
type session struct {
	client *gomail.Client
	close  func()
}

// open connects, encrypts and signs in. The connection ends with ctx, which go-mail itself heeds only while it dials.
func (s server) open(ctx context.Context) (session, error) {
	var connection net.Conn
	release := func() bool { return true }
	dial := func(short context.Context, network, address string) (net.Conn, error) {
		made, err := new(net.Dialer).DialContext(short, network, address)
		if err == nil {
			connection, release = made, context.AfterFunc(ctx, func() { _ = made.Close() })
		}
		return made, err
	}
	hangUp := func() {
		release()
		if connection != nil {
			_ = connection.Close()
		}
	}
	client, err := gomail.NewClient(s.host, append(s.options(), gomail.WithDialContextFunc(dial))...)
	if err == nil {
		err = client.DialWithContext(ctx)
	}
	if err != nil {
		hangUp()
		err = meaning(ctx, err)
		if errors.Is(err, outbound.ErrNoAnswer) {
			err = errNoSession
		}
		return session{}, fmt.Errorf("opening a session with the mail server: %w", err)
	}
	return session{client, func() { _ = client.Close(); hangUp() }}, nil
}

func (s server) options() []gomail.Option {
	policy := gomail.TLSMandatory
	if outbound.Loopback(s.host) {
		policy = gomail.TLSOpportunistic
	}
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(sessionTimeout), gomail.WithTLSPolicy(policy),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}),
	}
	if s.username == "" {
		return options
	}
	return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
		gomail.WithUsername(s.username), gomail.WithPassword(s.password.Reveal()))
}

// send sends one mail.
func (s session) send(ctx context.Context, m *gomail.Msg) error {
	if err := s.client.Send(m); err != nil {
		return fmt.Errorf("sending a mail: %w", meaning(ctx, err))
	}
	return nil
}

// errNoSession is the error when go-mail gives up for a reason that it does not classify.
var errNoSession = errors.New("it must offer STARTTLS, and a sign-in where a user name is given")

// reply is the code of a mail server's answer, without its words.
type reply int

// Error is the code.
func (r reply) Error() string { return fmt.Sprintf("the mail server answered %d", int(r)) }

// meaning turns an error of go-mail into the code that the server answered, or why it did not answer, without anything that
// the server said. RFC 5321, 4.2.1: a code of 500 or more is final.
func meaning(ctx context.Context, err error) error {
	code := 0
	var answered *textproto.Error
	var sending *gomail.SendError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &answered):
		code = answered.Code
	case errors.As(err, &sending):
		code = sending.ErrorCode()
	}
	switch {
	case code >= 500:
		return &notify.Refused{Err: reply(code)}
	case code > 0:
		return reply(code)
	}
	return outbound.Cause(ctx, err)
}

// Examine implements [notify.Examiner]: it opens a session and sends nothing.
func (e *email) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	const check = "mail server"
	session, err := e.server.open(ctx)
	if err != nil {
		found.Broken(check, "%v", err)
		return found
	}
	session.close()
	found.Good(check, "the mail server lets us in")
	return found
}
