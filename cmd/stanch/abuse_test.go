package main_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/queue/soak"
)

// slow is a sender of no use: what it begins with, and what it sends over and over, if anything, after a pause.
type slow struct {
	name, first, more string
	pause             time.Duration
}

// questions is a sender that asks and asks, and takes no answer.
var questions = slow{
	name: "questions", first: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	more: strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 50), pause: 10 * time.Millisecond,
}

// slowKinds send nothing, a piece of a header or a body and no more, or one byte of these after the other.
func (s *site) slowKinds() []slow {
	signed := ""
	for name, values := range s.signer.GitHubHeader([]byte("[]")) {
		signed += name + ": " + values[0] + "\r\n"
	}
	const request = "POST /hooks/gh HTTP/1.1\r\nHost: stanch.example\r\n"
	half := request + signed + "Content-Length: 1000000\r\n\r\n["
	refused := request + "Content-Length: 1000000\r\n\r\n["
	const pause = time.Second / 2
	return []slow{
		{name: "nothing"},
		{name: "a byte", first: "P"},
		{name: "half a header", first: request + "X-Long: "},
		{name: "a header by the byte", first: request + "X-Long: ", more: "x", pause: pause},
		{name: "half a body", first: half},
		{name: "a body by the byte", first: half, more: " ", pause: pause},
		{name: "a body that was refused, by the byte", first: refused, more: " ", pause: pause},
		{name: "half a chunk", first: request + signed + "Transfer-Encoding: chunked\r\n\r\n5\r\n["},
	}
}

// slowly opens connections that are of no use, and keeps them until the test ends or the server ends them, which the channel
// tells. Every one is opened when it returns.
func (s *site) slowly(n int, kinds ...slow) (ended <-chan string) {
	s.t.Helper()
	over := make(chan string, n)
	for i := range n {
		conn, err := net.Dial("tcp", s.public)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = conn.Close() })
		kind := kinds[i%len(kinds)]
		_, _ = io.WriteString(conn, kind.first) // it may be cut already
		go func() {
			kind.last(conn)
			over <- kind.name
		}()
	}
	return over
}

// last goes on as a slow sender does until the connection is ended. It reads only where there is nothing to send.
func (k slow) last(conn net.Conn) {
	if k.more == "" {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	for {
		if _, err := io.WriteString(conn, k.more); err != nil {
			return
		}
		time.Sleep(k.pause) // nothing waits for it
	}
}

// alone posts a delivery on a connection of its own, and returns the status; 0 when there was no answer.
func (s *site) alone(body []byte, header http.Header) int {
	request, err := http.NewRequest(http.MethodPost, "http://"+s.public+"/hooks/gh", bytes.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	request.Header = header
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// afterwards posts until the answer is not to come again: what takes the memory for bodies is still being given up.
func afterwards(post func() int) (status int) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if status = post(); status != http.StatusServiceUnavailable {
			return status
		}
	}
	return status
}

// honest posts a delivery that holds nothing, signed.
func (s *site) honest() int { return s.alone([]byte("[]"), s.signer.GitHubHeader([]byte("[]"))) }

// connections is how many the public listener has open.
func (s *site) connections() int {
	s.t.Helper()
	const series = "stanch_connections"
	metrics := s.get("/metrics")
	if !strings.Contains(metrics, "\n"+series+" ") {
		s.t.Fatalf("the process does not tell how many connections are open\n%.2000s", s.output)
	}
	return gauge(metrics, series)
}

// TestSlowSenders opens ten times as many connections as there may be, all of them of no use. Honest deliveries are
// answered all the while, and there are never more connections than there may be.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "limits: {connections: 60}\n")
	s.start()
	kinds := append(s.slowKinds(), questions)
	for range 10 {
		s.slowly(60, kinds...)
		if status := s.honest(); status != http.StatusNoContent {
			t.Errorf("a delivery among slow senders is answered %d", status)
		}
		// The delivery was let in after those that came before it.
		if open := s.connections(); open > 60 {
			t.Errorf("%d connections are open, where 60 may be", open)
		}
	}
	if gauge(s.get("/metrics"), "stanch_connections_cut_total") == 0 {
		t.Error("none was cut")
	}
}

// TestSlowSendersEnd has one of each kind, fewer than there may be: none lasts. The server is asked, because a sender may not hear
// of its end for long.
func TestSlowSendersEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	kinds, open := append(s.slowKinds(), questions), map[string]bool{}
	for _, kind := range kinds {
		open[kind.name] = true
	}
	ended, hung := s.slowly(len(kinds), kinds...), time.After(patience)
	s.honest() // it is let in after they are
	for s.connections() > 0 {
		select {
		case kind := <-ended:
			delete(open, kind)
		case <-time.After(100 * time.Millisecond):
		case <-hung:
			t.Fatalf("connections last, of these: %q", slices.Sorted(maps.Keys(open)))
		}
	}
}

// TestForgeries sends forged deliveries by the hundred, half of them under key ids that nobody has. All are refused, nothing of
// them is stored, the key endpoint is asked no more often for them, and an honest sender at the same address is served.
func TestForgeries(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	if status := s.honest(); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	before, begun := len(s.keys.Requests()), time.Now()
	stranger, err := feedfake.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`[{"token":"planted-forged","type":"ibm_cloud_iam_key","url":"https://example.com/"}]`)
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			for range soak.Size(50, 250) {
				header := s.signer.GitHubHeader([]byte("[ ]")) // of another body
				if sender%2 == 0 {
					header = stranger.GitHubHeader(body)
					header.Set("Github-Public-Key-Identifier", fmt.Sprintf("%064x", rand.Uint64()))
				}
				switch status, _ := s.postBody(body, header); status {
				case http.StatusUnauthorized, http.StatusTooManyRequests:
				default:
					t.Errorf("a forgery is answered %d", status)
				}
			}
		})
	}
	for range 20 {
		if status := s.honest(); status != http.StatusNoContent {
			t.Errorf("an honest delivery among forgeries is answered %d", status)
		}
	}
	senders.Wait()
	if status := s.honest(); status != http.StatusNoContent {
		t.Errorf("an honest delivery after forgeries is answered %d", status)
	}
	minutes := int(time.Since(begun)/time.Minute) + 1
	if asked := len(s.keys.Requests()) - before; asked > minutes {
		t.Errorf("the key endpoint was asked %d times within %d minutes", asked, minutes)
	}
	metrics := s.get("/metrics")
	if n := gauge(metrics, `stanch_alerts_total{source="gh"}`) + gauge(metrics, "stanch_dead_letters"); n != 0 {
		t.Errorf("%d records of forged deliveries are stored", n)
	}
	s.wantNothingPlanted()
}

// wantPeak checks in make soak that the process never took more memory than so many MiB: the race detector takes as much again.
func (s *site) wantPeak(most float64) {
	s.t.Helper()
	if peak := s.peak(); soak.On() && peak > most {
		s.t.Errorf("the process took %.0f MiB, want %.0f at most", peak, most)
	}
}

// TestLargeBodiesAtOnce sends many times more of forged bodies at once than there is memory for, most of it without saying how much
// it will be. The memory stays bounded, and honest deliveries are served after it, and during it unless the memory for bodies is taken.
func TestLargeBodiesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "limits: {in_flight_bytes: 64MiB}\n")
	s.start()
	large := bytes.Repeat([]byte(" "), 25<<20)
	header := s.signer.GitHubHeader([]byte("[]"))
	var senders sync.WaitGroup
	for sender := range soak.Size(12, 48) {
		senders.Go(func() {
			body := io.Reader(bytes.NewReader(large))
			if sender%4 != 0 {
				body = io.MultiReader(body) // whose length is not known
			}
			request, err := http.NewRequest(http.MethodPost, "http://"+s.public+"/hooks/gh", body)
			if err != nil {
				t.Error(err)
				return
			}
			request.Header = header.Clone()
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return // it was refused while it was still being sent
			}
			_ = response.Body.Close()
			switch response.StatusCode {
			case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			default:
				t.Errorf("a large forgery is answered %d", response.StatusCode)
			}
		})
	}
	for range 20 {
		if status := s.honest(); status != http.StatusNoContent && status != http.StatusServiceUnavailable {
			t.Errorf("an honest delivery among large ones is answered %d", status)
		}
	}
	senders.Wait()
	if status := afterwards(s.honest); status != http.StatusNoContent {
		t.Errorf("an honest delivery after large ones is answered %d", status)
	}
	s.wantPeak(800)
}
