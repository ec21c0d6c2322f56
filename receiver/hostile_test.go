package receiver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// scripted is a source that does what a test says.
type scripted struct {
	receiver.Source
	verify func() error
	parse  func() (receiver.Parsed, error)
}

func (s scripted) Admit(http.Header) error { return nil }

func (s scripted) Verify(context.Context, http.Header, []byte) error {
	if s.verify == nil {
		return nil
	}
	return s.verify()
}

func (s scripted) Parse(http.Header, []byte) (receiver.Parsed, error) {
	if s.parse == nil {
		return receiver.Parsed{}, nil
	}
	return s.parse()
}

func withSource(s receiver.Source) func(*house, *receiver.Config) {
	return func(_ *house, c *receiver.Config) { c.Sources = map[string]receiver.Source{"gh": s} }
}

func TestHandlerSurvivesAPanic(t *testing.T) {
	h := newHouse(t, withSource(scripted{parse: func() (receiver.Parsed, error) { panic(planted) }}))
	wantStatus(t, h.deliver(t, "[]"), http.StatusServiceUnavailable)
	h.wantCounted(t, "gh", "panic", 1)
	if log := h.log.String(); strings.Contains(log, planted) || !strings.Contains(log, "hostile_test.go") {
		t.Errorf("the log holds the value of the panic, or not its place: %s", log)
	}
}

// TestHandlerUnclassifiedError checks that an error that nobody classified makes the sender try again.
func TestHandlerUnclassifiedError(t *testing.T) {
	h := newHouse(t, withSource(scripted{verify: func() error { return errors.New("odd") }}))
	wantStatus(t, h.deliver(t, "[]"), http.StatusServiceUnavailable)
	h.wantCounted(t, "gh", "not_stored", 1)
}

// TestHandlerThrottles checks that an address that keeps failing gets 429, but that its deliveries are accepted if they verify:
// others may use the same address.
func TestHandlerThrottles(t *testing.T) {
	h := newHouse(t)
	forge := func() int {
		header := h.signer.GitHubHeader([]byte("[]"))
		return h.send(t, http.MethodPost, "/hooks/gh", header, strings.NewReader("[ ]")).StatusCode
	}
	failures := func() (n int) {
		for forge() == http.StatusUnauthorized {
			n++
		}
		return n
	}
	if got := failures(); got < 100 {
		t.Errorf("got 429 after %d failures, want 100 at least", got)
	}
	h.wantCounted(t, "gh", "throttled", 1)
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
	h.wantStored(t, 1, 0)
	if got := failures(); got < 100 {
		t.Errorf("got 429 after %d failures of a forgiven address, want 100 at least", got)
	}
}

// TestHandlerBudget checks that bodies share one budget of memory, and that those who keep failing cannot use it up.
func TestHandlerBudget(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(h *house, c *receiver.Config) {
		c.Sources["slow"] = scripted{verify: func() error { entered <- struct{}{}; <-leave; return nil }}
		c.Limits = receiver.Limits{Body: 1000, InFlightBytes: 1001}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		wantStatus(t, h.send(t, http.MethodPost, "/hooks/slow", nil, strings.NewReader(strings.Repeat(" ", 950))), 204)
	})
	<-entered
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusServiceUnavailable)
	h.wantCounted(t, "gh", "busy", 1)
	close(leave)
	wg.Wait()
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
}

// TestHandlerSlowBody sends a part of a body and no more, over a network in memory that runs on fake time.
func TestHandlerSlowBody(t *testing.T) {
	recipient, _ := newSealing(t)
	synctest.Test(t, func(t *testing.T) {
		handler := receiver.New(receiver.Config{
			Sources: map[string]receiver.Source{"gh": scripted{}}, Seal: recipient, Store: memory.New(),
		})
		client, serverSide := net.Pipe()
		listener := &pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		listener.conns <- serverSide
		server := &http.Server{Handler: handler}
		done := make(chan error)
		go func() { done <- server.Serve(listener) }()
		_, err := io.WriteString(client, "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, response, http.StatusServiceUnavailable)
		_ = response.Body.Close()
		_ = client.Close()
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("got %v from the server, want ErrServerClosed", err)
		}
	})
}

// pipeListener hands over connections that exist already.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestHandlerCutBody closes the connection in the middle of a body.
func TestHandlerCutBody(t *testing.T) {
	h := newHouse(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	id, signature := h.signer.Sign([]byte("["))
	request := "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nGithub-Public-Key-Identifier: " + id +
		"\r\nGithub-Public-Key-Signature: " + signature + "\r\n\r\n["
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, response, http.StatusServiceUnavailable)
	_ = response.Body.Close()
	h.wantCounted(t, "gh", "unread", 1)
}

// TestHandlerSenderHangsUp checks that a delivery is stored although nobody waits for the answer.
func TestHandlerSenderHangsUp(t *testing.T) {
	h := newHouse(t)
	body := "[" + record(planted) + "]"
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks/gh", strings.NewReader(body))
	request.Header = h.signer.GitHubHeader([]byte(body))
	h.handler.ServeHTTP(httptest.NewRecorder(), request)
	h.wantStored(t, 1, 0)
}

// TestHandlerPlantedToken looks for a token in everything that is stored or shown of good, bad and forged deliveries.
func TestHandlerPlantedToken(t *testing.T) {
	h := newHouse(t)
	good := "[" + record(planted) + `,{"token":7,"url":"` + planted + `"},"` + planted + `"]`
	wantStatus(t, h.deliver(t, good), http.StatusNoContent)
	wantStatus(t, h.deliver(t, good+planted), http.StatusBadRequest)
	stranger := newSigner(t)
	header := stranger.GitHubHeader([]byte(good))
	header.Set("User-Agent", planted)
	wantStatus(t, h.send(t, http.MethodPost, "/hooks/gh?q="+planted, header, strings.NewReader(good)), http.StatusUnauthorized)
	h.wantStored(t, 1, 2)

	shown := h.log.String() + h.metrics(t)
	messages := h.queued[queue.Alerts]
	for message, err := range h.store.Scan(t.Context(), queue.DeadSubject("gh")) {
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
	for _, message := range messages {
		shown += message.Subject + message.ID + string(message.Data)
	}
	if strings.Contains(shown, planted) {
		t.Errorf("the planted token is in clear in: %s", shown)
	}
	if !strings.Contains(shown, `"reason":"the field token is not a string"`) {
		t.Error("the search saw no dead letter, so that it proves nothing")
	}
}

// TestHandlerSealFails checks that a delivery is refused whole when a part of it cannot be sealed.
func TestHandlerSealFails(t *testing.T) {
	h := newHouse(t, func(_ *house, c *receiver.Config) { c.Seal = failingSeal{} })
	wantStatus(t, h.deliver(t, "["+record("good")+","+record(planted)+"]"), http.StatusServiceUnavailable)
	h.wantStored(t, 0, 0)
	h.wantCounted(t, "gh", "not_stored", 1)
}

// failingSeal cannot seal the planted token.
type failingSeal struct{}

func (failingSeal) Seal(source string, _ time.Time, c leak.Content) (leak.Alert, error) {
	if c.Secret.Equal(leak.NewSecret(planted)) {
		return leak.Alert{}, errors.New("no entropy")
	}
	return leak.Alert{ID: "id", Source: source}, nil
}

// TestHandlerOddJSON sends signed bodies that are meant to be expensive. They are answered 400, and a good delivery afterwards is
// accepted.
func TestHandlerOddJSON(t *testing.T) {
	h := newHouse(t)
	keys := strings.Builder{}
	for i := range 100_000 {
		fmt.Fprintf(&keys, `"key-%d":%d,`, i, i)
	}
	for name, row := range map[string]struct {
		body string
		want int
	}{
		"deep arrays":  {strings.Repeat("[", 1_000_000), http.StatusBadRequest},
		"deep objects": {strings.Repeat(`{"a":`, 1_000_000), http.StatusBadRequest},
		"deep, closed": {strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), http.StatusBadRequest},
		"a deep field": {`[{"token":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}]`, http.StatusBadRequest},
		"a number":     {`[{"token":` + strings.Repeat("9", 1_000_000) + `}]`, http.StatusNoContent},
		"an exponent":  {`[{"token":1e999999999}]`, http.StatusNoContent},
		"many keys":    {`[{` + keys.String() + `"token":7}]`, http.StatusNoContent},
	} {
		if got := h.deliver(t, row.body).StatusCode; got != row.want {
			t.Errorf("%s: got %d, want %d", name, got, row.want)
		}
	}
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
	h.wantStored(t, 1, 3)
}
