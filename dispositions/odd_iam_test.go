package dispositions_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// pipes is a network without a kernel: connections within a bubble of fake time.
type pipes struct {
	conns   chan net.Conn
	closed  chan struct{}
	mu      sync.Mutex
	dialled map[string]bool // addresses
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{}), dialled: map[string]bool{}}
}

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	p.dialled[address] = true
	p.mu.Unlock()
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *pipes) Close() error { close(p.closed); return nil }

// Addr implements [net.Listener].
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// iam is a fake IAM behind HTTP in a bubble, with a key of our own.
type iam struct {
	*ibmfake.Fake
	*pipes
	own    leak.Secret
	ownID  string
	ownIAM string // who the key acts as
	issuer dispositions.Issuer
	stop   func()
}

// iamAddress is the only address that anybody may dial.
const iamAddress = "127.0.0.1:7"

func (w *world) startIAM(switches ibmfake.Switches, controller bool) *iam {
	w.t.Helper()
	f := &iam{Fake: ibmfake.New(ibmfake.Options{Switches: switches}), pipes: newPipes()}
	_, f.ownIAM = f.AddServiceID("stanch", "")
	f.ownID, f.own = f.AddKey(ibmfake.Key{Name: "stanch", IAMID: f.ownIAM, Administrator: true})
	server := &http.Server{Handler: f.Fake, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := server.Serve(f.pipes); !errors.Is(err, http.ErrServerClosed) {
			w.t.Errorf("serving: %v", err)
		}
	}()
	f.stop = func() { _ = server.Close() }
	file := filepath.Join(w.t.TempDir(), "apikey")
	if err := os.WriteFile(file, []byte(f.own.Reveal()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	config := ibmcloud.Config{URL: "http://" + iamAddress, Auth: ibmcloud.Auth{APIKeyFile: file}, Dial: f.dial}
	if controller {
		config.ResourceControllerURL = config.URL
	}
	var err error
	if f.issuer, err = config.Open("ibm", w.logger); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// signIn gets a token for the leaked value, as whoever found it does.
func (o *odd) signIn() {
	client := &http.Client{Transport: &http.Transport{DialContext: o.dial, DisableKeepAlives: true}}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {o.secret.Reveal()}}
	response, err := client.PostForm("http://"+iamAddress+"/identity/token", form)
	if err != nil || response.StatusCode != http.StatusOK {
		o.t.Errorf("signing in: %v", err)
		return
	}
	_ = response.Body.Close()
}
