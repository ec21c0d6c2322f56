package main_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmcloud/ibmtest"
	"stanch/receiver/sourcetest"
)

// slowly opens connections that are of no use, and keeps them until the test ends: they send nothing, a piece of a header, a
// piece of a body, or take no answer. Every one is opened when it returns.
func (s *site) slowly(n int) {
	s.t.Helper()
	signed := ""
	for name, values := range s.signer.GitHubHeader([]byte("[]")) {
		signed += name + ": " + values[0] + "\r\n"
	}
	const request = "POST /hooks/gh HTTP/1.1\r\nHost: stanch.example\r\n"
	kinds := []string{
		"", "P", request + "X-Long: ", request + signed + "Content-Length: 1000\r\n\r\n[",
		request + signed + "Transfer-Encoding: chunked\r\n\r\n5\r\n[",
		strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 50),
	}
	for i := range n {
		conn, err := net.Dial("tcp", s.public)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, kinds[i%len(kinds)]) // it may be cut already
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

// honest posts a delivery that holds nothing, signed.
func (s *site) honest() int { return s.alone([]byte("[]"), s.signer.GitHubHeader([]byte("[]"))) }

// TestSlowSenders opens ten times as many connections as there may be, all of them of no use. Honest deliveries are
// answered all the while, and what is too much is cut.
func TestSlowSenders(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "limits: {connections: 60}\n")
	s.start()
	for range 10 {
		s.slowly(60)
		if status := s.honest(); status != http.StatusNoContent {
			t.Errorf("a delivery among slow senders is answered %d", status)
		}
	}
	metrics := s.get("/metrics")
	if cut := gauge(metrics, "stanch_connections_cut_total"); cut < 540 {
		t.Errorf("%d connections were cut of 610, where 60 may be", cut)
	}
	if files := gauge(metrics, "process_open_fds"); files > 400 {
		t.Errorf("%d files are open", files)
	}
}

// TestForgeries sends forged deliveries by the thousand, half of them under key ids that nobody has. All are refused, nothing of
// them is stored, the key endpoint is asked no more often for them, and an honest sender at the same address is served.
func TestForgeries(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	s.start()
	if status := s.honest(); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	before, begun := len(s.keys.Requests()), time.Now()
	stranger, err := sourcetest.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`[{"token":"planted-forged","type":"ibm_cloud_iam_key","url":"https://example.com/"}]`)
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			for range 250 {
				header := s.signer.GitHubHeader([]byte("[ ]")) // of another body
				if sender%2 == 0 {
					header = stranger.GitHubHeader(body)
					header.Set("Github-Public-Key-Identifier", fmt.Sprintf("%064x", rand.Uint64()))
				}
				switch status, _ := s.postBody(body, header); status {
				case http.StatusUnauthorized, http.StatusTooManyRequests:
				case http.StatusServiceUnavailable: // while nobody can tell whether the id is a new key's
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

// TestLargeBodiesAtOnce sends more than a GiB of forged bodies at once, most of it without saying how much it will be. The memory
// stays bounded, and honest deliveries are served after it, and during it unless the memory for bodies is taken.
func TestLargeBodiesAtOnce(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "limits: {in_flight_bytes: 64MiB}\n")
	s.start()
	large := bytes.Repeat([]byte(" "), 25<<20)
	header := s.signer.GitHubHeader([]byte("[]"))
	var senders sync.WaitGroup
	for sender := range 48 {
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
	if status := s.honest(); status != http.StatusNoContent {
		t.Errorf("an honest delivery after large ones is answered %d", status)
	}
	if peak := s.peak(); peak > 800 {
		t.Errorf("the process took %.0f MiB", peak)
	}
}
