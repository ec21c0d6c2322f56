package vendorfake

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxAnswer is how much of a receiver's answer is kept, in bytes.
const maxAnswer = 64 << 10

// Sender delivers webhooks in the order in which they were queued, a limited number at a time. Safe for concurrent use.
type Sender struct {
	client *http.Client
	ctx    context.Context
	stop   context.CancelFunc
	most   int

	mu      sync.Mutex
	idle    *sync.Cond // on mu: a worker ran out of work
	queue   []func()   // not sent yet
	workers int
	held    bool
}

// NewClient makes a client that gives a receiver this long to answer and follows no redirects.
func NewClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout, Transport: http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewSender makes a sender that makes at most this many deliveries at a time, with the client of [NewClient].
func NewSender(most int, timeout time.Duration) *Sender {
	s := &Sender{most: most, client: NewClient(timeout)}
	s.idle = sync.NewCond(&s.mu)
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close gives up the deliveries that are waiting or in progress.
func (s *Sender) Close() {
	s.stop()
	s.client.CloseIdleConnections()
}

// Enqueue queues a delivery, ahead of those that wait or behind them.
func (s *Sender) Enqueue(first bool, send func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.queue = append([]func(){send}, s.queue...)
	} else {
		s.queue = append(s.queue, send)
	}
	s.work()
}

// Hold holds queued deliveries back until Release.
func (s *Sender) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// Release sends the deliveries that were held back.
func (s *Sender) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.work()
}

// Wait blocks until no delivery is waiting or in progress. It must not be called between Hold and Release.
func (s *Sender) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.workers > 0 || len(s.queue) > 0 {
		s.idle.Wait()
	}
}

// work starts a worker if there is something to send and room for another worker.
func (s *Sender) work() {
	if !s.held && len(s.queue) > 0 && s.workers < s.most {
		s.workers++
		go s.sendAll()
	}
}

// sendAll sends until nothing is waiting.
func (s *Sender) sendAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.held && len(s.queue) > 0 {
		send := s.queue[0]
		s.queue = s.queue[1:]
		s.work()
		s.mu.Unlock()
		send()
		s.mu.Lock()
	}
	s.workers--
	s.idle.Broadcast()
}

// NewPost makes a POST that is given up when the sender is closed. With an invalid URL it goes nowhere.
func (s *Sender) NewPost(to string, body []byte) *http.Request {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &http.Request{Method: http.MethodPost, URL: &url.URL{}}
	}
	return request
}

// Sent is the result of a POST.
type Sent struct {
	Code     int // 0: nobody answered
	Header   http.Header
	Body     string // as far as it was read
	Duration time.Duration
	Err      error // why nobody answered, or why the answer could not be read to its end
}

// Post sends a request of [Sender.NewPost].
func (s *Sender) Post(request *http.Request) Sent {
	started := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return Sent{Err: err, Duration: time.Since(started)}
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return Sent{
		Code: response.StatusCode, Header: response.Header, Body: string(data), Err: err, Duration: time.Since(started),
	}
}
