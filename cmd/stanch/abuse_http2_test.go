package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"stanch/dispositions/ibmfake"
)

// TestRapidReset begins deliveries by the thousand over HTTP/2 with TLS, and takes each back at once. The memory stays
// bounded, none of it is kept for what was taken back, and honest deliveries are answered: stored afterwards, and meanwhile unless
// the memory for bodies is taken.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "limits: {body: 2MiB, in_flight_bytes: 4MiB}\n")
	s.writeCertificate()
	s.write("tls.yaml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	s.edit(fmt.Sprintf("address: %q", s.public), fmt.Sprintf("address: %q, config_file: tls.yaml", s.public))
	s.start()
	honest := s.overHTTP2()
	flood := make(chan int)
	const floods, most = 4, 5_000
	for range floods {
		go func() { flood <- s.resetRapidly(most) }()
	}
	begun := 0
	for left := floods; left > 0; {
		if status, err := honest(); err != nil || status != http.StatusNoContent && status != http.StatusServiceUnavailable {
			t.Errorf("an honest delivery among those that are taken back: %d, %v", status, err)
		}
		select {
		case n := <-flood:
			begun += n
			left--
		default:
		}
	}
	var err error
	status := afterwards(func() (status int) {
		status, err = honest()
		return status
	})
	if err != nil || status != http.StatusNoContent {
		t.Errorf("an honest delivery afterwards: %d, %v", status, err)
	}
	if begun < 1000 {
		t.Errorf("only %d deliveries were begun, so that it proves nothing", begun)
	}
	s.wantPeak(800)
}

// overHTTP2 posts a signed delivery that needs some of the memory for bodies.
func (s *site) overHTTP2() (post func() (status int, err error)) {
	s.t.Helper()
	transport := &http.Transport{TLSClientConfig: unverified(), ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	body := append(bytes.Repeat([]byte(" "), 1<<20), "[]"...)
	header := s.signer.GitHubHeader(body)
	return func() (int, error) {
		request, err := http.NewRequest(http.MethodPost, "https://"+s.public+"/hooks/gh", bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		request.Header = header
		response, err := transport.RoundTrip(request)
		if err != nil {
			return 0, err
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		if response.ProtoMajor != 2 {
			return 0, fmt.Errorf("it is answered by %s", response.Proto)
		}
		return response.StatusCode, nil
	}
}

// unverified speaks HTTP/2 with whoever answers.
func unverified() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} //nolint:gosec // the test's own server
}

// resetRapidly begins deliveries with a piece of a body, and takes each back at once: so many, or until the server has had
// enough. It returns how many it began.
func (s *site) resetRapidly(most int) (begun int) {
	conn, err := (&tls.Dialer{Config: unverified()}).DialContext(context.Background(), "tcp", s.public)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, nil)
	err = framer.WriteSettings()
	header := s.headerBlock()
	for ; err == nil && begun < most; begun++ {
		err = s.takeBack(framer, uint32(2*begun+1), header)
	}
	return begun
}

// takeBack begins one delivery and takes it back.
func (s *site) takeBack(framer *http2.Framer, id uint32, header []byte) error {
	err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header, EndHeaders: true})
	if err == nil {
		err = framer.WriteData(id, false, []byte("["))
	}
	if err == nil {
		err = framer.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	return err
}

// headerBlock is the header of a delivery. It changes no table, so that each stream can have it.
func (s *site) headerBlock() []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	write := func(name, value string) {
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true}) // a buffer takes all
	}
	host, _, _ := net.SplitHostPort(s.public)
	write(":method", http.MethodPost)
	write(":scheme", "https")
	write(":authority", host)
	write(":path", "/hooks/gh")
	for name, values := range s.signer.GitHubHeader([]byte("[]")) {
		write(strings.ToLower(name), values[0])
	}
	return block.Bytes()
}
