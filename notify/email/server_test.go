package email_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	username = "stanch"
	password = "planted-password-0123456789"
)

// mailServer is a mail server that keeps what it is given.
type mailServer struct {
	port    string
	caFile  string
	stalled chan struct{} // told of a mail that is never answered; nil: mails are answered

	mu      sync.Mutex
	refused map[string]*smtp.SMTPError // by recipient
	mails   []received
}

// received is one mail.
type received struct {
	from, to string
	tls      bool
	data     string
}

// start starts a mail server on this machine, with STARTTLS unless plain.
func start(t testing.TB, plain bool) *mailServer {
	t.Helper()
	s := &mailServer{refused: map[string]*smtp.SMTPError{}}
	certificate := s.certify(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: s, conn: c}, nil
	}))
	server.Domain, server.AllowInsecureAuth = "localhost", true
	server.ErrorLog = log.New(io.Discard, "", 0)
	if !plain {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	ended := make(chan struct{})
	go func() { _ = server.Serve(listener); close(ended) }()
	t.Cleanup(func() { _, _ = listener.Close(), server.Close(); <-ended })
	return s
}

// certify makes a certificate for this machine, and the file by which it is trusted.
func (s *mailServer) certify(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(s.caFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (s *mailServer) refuse(to string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.refused, to)
	if code != 0 {
		s.refused[to] = &smtp.SMTPError{Code: code, Message: "a planted word about " + to}
	}
}

func (s *mailServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

// take returns the mails and forgets them.
func (s *mailServer) take() []received {
	mails := s.got()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = nil
	return mails
}

// mailSession is one connection to the server.
type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	signed bool
	mail   received
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, given string) error {
		if name != username || given != password {
			return smtp.ErrAuthFailed
		}
		s.signed = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	_, encrypted := s.conn.TLSConnectionState()
	if encrypted && !s.signed {
		return smtp.ErrAuthRequired
	}
	s.mail = received{from: from, tls: encrypted}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if refusal := s.server.refused[to]; refusal != nil {
		return refusal
	}
	s.mail.to = strings.TrimPrefix(s.mail.to+" "+to, " ")
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.stalled != nil {
		s.server.stalled <- struct{}{}
		_, err := s.conn.Conn().Read(make([]byte, 1)) // until the other side hangs up
		return err
	}
	s.mail.data = string(data)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *mailSession) Reset()        { s.mail = received{} }
func (s *mailSession) Logout() error { return nil }
