package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"stanch/receiver/queue/natsclient"
)

const (
	// connectTimeout is how long one server may take to accept a connection.
	connectTimeout = 5 * time.Second
	// pingEvery is how often the server is asked for a sign of life. After two that are missing we give the connection up: a
	// machine that is gone does not say so.
	pingEvery = 5 * time.Second
	// firstReconnect and lastReconnect bound the pause between two rounds through all servers.
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = 5 * time.Second
	// noBuffer makes it an error at once to write without a connection: a message that the caller was told is not stored must
	// not be stored later.
	noBuffer = -1
)

// Connect connects to one of the servers. The error names neither a server's URL nor a credential. The caller must close the
// client's connection.
func (c Config) Connect() (*natsclient.Client, error) {
	c = c.withDefaults()
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	credential, err := c.credential()
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(c.URL, append(options, credential...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	client, err := natsclient.New(conn, attempt, c.Log)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// options checks a configuration, and returns what a connection is like.
func (c Config) options() ([]nats.Option, error) {
	if err := checkURLs(c.URL); err != nil {
		return nil, err
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, errors.New("a certificate needs its key, and a key its certificate")
	}
	options := []nats.Option{
		nats.Timeout(connectTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the credential may be about to be changed
		nats.CustomReconnectDelay(reconnectDelay()),
		nats.ReconnectBufSize(noBuffer),
		nats.SyncQueueLen(natsclient.SubscriptionQueue),
	}
	if c.CAFile != "" {
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	options = append(options, connectionEvents(c.Log)...)
	return append(options, named(c.Role)...), nil
}

// named makes a role's connections known by its name.
func named(role string) []nats.Option {
	if role == "" {
		return []nats.Option{nats.Name("stanch")}
	}
	return []nats.Option{nats.Name("stanch/" + role), nats.CustomInboxPrefix(inboxPrefix(role))}
}

// inboxPrefix is where the answers to a role's questions go.
func inboxPrefix(role string) string { return "_INBOX_" + role }

// checkURLs refuses URLs that cannot work. The error does not repeat them: what is wrong with one may be its password.
func checkURLs(urls string) error {
	for i, one := range strings.Split(urls, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		switch {
		case err != nil || u.Host == "":
			return fmt.Errorf("server %d of the URL: it is none, such as nats://host:4222", i+1)
		case u.User != nil:
			return fmt.Errorf("server %d of the URL: it holds a user or a password; they belong in a file", i+1)
		}
	}
	return nil
}

// reconnectDelay says how long to wait before the servers are tried once more. It is random by a third, so that not all
// processes come back at once.
func reconnectDelay() nats.ReconnectDelayHandler {
	delays := &backoff.ExponentialBackOff{
		InitialInterval: firstReconnect, MaxInterval: lastReconnect, Multiplier: 2, RandomizationFactor: 1. / 3,
	}
	return func(rounds int) time.Duration {
		if rounds <= 1 {
			delays.Reset()
		}
		return delays.NextBackOff()
	}
}

// connectionEvents logs what becomes of a connection. It logs once that the connection is refused for the same reason again
// and again.
func connectionEvents(log *slog.Logger) []nats.Option {
	var last atomic.Value // string: what the last attempt came to
	return []nats.Option{
		nats.DisconnectErrHandler(func(conn *nats.Conn, err error) {
			if !conn.IsClosed() {
				log.Warn("connection to nats lost", "err", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := err.Error(); last.Swap(text) != text {
				log.Warn("connection to nats refused", "err", err)
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			last.Store("")
			log.Info("connected to nats again", "server", conn.ConnectedServerName())
		}),
	}
}

// credential is how we authenticate.
func (c Config) credential() ([]nats.Option, error) {
	switch {
	case c.CredsFile != "" && c.NKeyFile != "":
		return nil, errors.New("a credentials file and an nkey file are two ways to say who we are: choose one")
	case c.CredsFile != "":
		return []nats.Option{nats.UserCredentials(c.CredsFile)}, nil
	case c.NKeyFile != "":
		return nkeyOf(c.NKeyFile)
	}
	return nil, nil
}

// nkeyOf signs with the seed in a file.
func nkeyOf(file string) ([]nats.Option, error) {
	public, err := publicKey(file)
	if err != nil {
		return nil, err
	}
	sign := func(nonce []byte) ([]byte, error) {
		pair, err := seed(file)
		if err != nil {
			return nil, err
		}
		defer pair.Wipe()
		return pair.Sign(nonce)
	}
	dial := &nkeyDialer{Dialer: net.Dialer{Timeout: connectTimeout}, file: file}
	return []nats.Option{nats.Nkey(public, sign), nats.SetCustomDialer(dial), nats.ConnectHandler(dial.connected)}, nil
}

// nkeyDialer tells a connection, before it is made again, whose seed is in the file now. The client asks for the
// signature each time, but for the public key only once.
type nkeyDialer struct {
	net.Dialer
	file string
	conn atomic.Pointer[nats.Conn]
}

func (d *nkeyDialer) connected(conn *nats.Conn) { d.conn.Store(conn) }

// Dial implements nats.CustomDialer. The client meanwhile holds the lock of its connection, which guards the option.
func (d *nkeyDialer) Dial(network, address string) (net.Conn, error) {
	if conn := d.conn.Load(); conn != nil {
		public, err := publicKey(d.file)
		if err != nil {
			return nil, err
		}
		conn.Opts.Nkey = public
	}
	return d.Dialer.Dial(network, address)
}

func publicKey(file string) (string, error) {
	pair, err := seed(file)
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

// seed reads a user's nkey from a file, with or without the decoration that tools write around it.
func seed(file string) (nkeys.KeyPair, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the nkey file: %w", err)
	}
	defer clear(text)
	pair, err := nkeys.ParseDecoratedUserNKey(bytes.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("reading the nkey file %s: it holds no seed of a user", file)
	}
	return pair, nil
}
