package outbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"stanch/receiver/outbound"
)

// planted is what no error may hold: it stands in the path, the query and the header of every call, and in every answer.
const planted = "planted-token-77aa"

// call makes a call and reads its answer to the end. The error is its cause.
func call(t *testing.T, c outbound.Config, url string) (status int, body []byte, err error) {
	t.Helper()
	return callWith(t.Context(), t, outbound.NewClient(c), url)
}

func callWith(ctx context.Context, t *testing.T, client *http.Client, url string) (status int, body []byte, err error) {
	t.Helper()
	defer client.CloseIdleConnections()
	defer func() {
		if err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "127.0.0.1")) {
			t.Errorf("got %q, want nothing of the call or the answer", err)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/"+planted+"?token="+planted, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+planted)
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, outbound.Cause(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, body, outbound.Cause(ctx, err)
	}
	return response.StatusCode, body, nil
}

// serve answers every call, until the test ends.
func serve(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server
}

// serveRaw answers every connection as it is told, with whatever it likes, and closes it.
func serveRaw(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = connection.Close() }()
				_, _ = connection.Read(make([]byte, 4096))
				answer(connection)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestBounds: however much an answer holds, no more of it is read than was asked for, and the rest is an error.
func TestBounds(t *testing.T) {
	const most = 1000
	bomb := new(bytes.Buffer)
	packer := gzip.NewWriter(bomb)
	_, _ = packer.Write(make([]byte, 10<<20))
	_ = packer.Close()
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		whole  bool
	}{
		"as long as it may be": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, most)) }, true},
		"a byte longer":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, most+1)) }, false},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for chunk := []byte(strings.Repeat(planted, 1000)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, false},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, false},
		"an error without an end": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(make([]byte, 5000))
		}, false},
	} {
		_, body, err := call(t, outbound.Config{MaxAnswer: most}, serve(t, row.answer).URL)
		if len(body) > most || (err == nil) != row.whole {
			t.Errorf("%s: got %d bytes and %v, want %d at most, and whole: %v", name, len(body), err, most, row.whole)
		}
		if !row.whole && (err == nil || err.Error() != "the answer is too long") {
			t.Errorf("%s: got %v, want that the answer is too long", name, err)
		}
	}
}

// TestLongHeader: a header without an end is no answer.
func TestLongHeader(t *testing.T) {
	url := serveRaw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", n, strings.Repeat(planted, 50)); err != nil {
				return
			}
		}
	})
	if _, _, err := call(t, outbound.Config{}, url); err == nil {
		t.Error("got no error")
	}
}

// TestRedirect: an answer that names another place is the answer, whatever the place is.
func TestRedirect(t *testing.T) {
	followed := 0
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { followed++ })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, place := range []string{elsewhere.URL, "/there", "//127.0.0.1/", "http://[", "file:///etc/passwd", ""} {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/there" {
					followed++
				}
				w.Header().Set("Location", place)
				w.WriteHeader(status)
			})
			got, _, err := call(t, outbound.Config{}, server.URL)
			if unreadable := place == "http://["; (err != nil) != unreadable || !unreadable && got != status {
				t.Errorf("%d to %q: got %d and %v", status, place, got, err)
			}
		}
	}
	if followed > 0 {
		t.Errorf("%d redirects were followed", followed)
	}
}

// TestSlow: a far side that is slow at any point of its answer costs no more than the time that was allowed.
func TestSlow(t *testing.T) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for name, url := range map[string]string{
		"says nothing": serveRaw(t, func(net.Conn) { <-stop }),
		"a header a byte at a time": serveRaw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Slow: ")
			trickle(c, stop)
		}),
		"a body a byte at a time": serveRaw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			trickle(c, stop)
		}),
		"a handshake without an end": strings.Replace(serveRaw(t, func(net.Conn) { <-stop }), "http:", "https:", 1),
	} {
		began := time.Now()
		_, _, err := call(t, outbound.Config{Timeout: 100 * time.Millisecond}, url)
		if err == nil || err.Error() != "no answer in time" {
			t.Errorf("%s: got %v after %v, want no answer in time", name, err, time.Since(began))
		}
	}
}

func trickle(c net.Conn, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
	}
}

// TestCause: why there is no answer, in words of our own.
func TestCause(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	picky := httptest.NewUnstartedServer(http.NotFoundHandler())
	picky.Config.ErrorLog = secure.Config.ErrorLog
	picky.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	picky.StartTLS()
	t.Cleanup(picky.Close)
	for name, row := range map[string]struct {
		url, want string
		roots     *x509.CertPool
	}{
		"nobody listens":    {closed.URL, "connection refused", nil},
		"no such host":      {"http://planted-host.invalid", "the host name cannot be resolved", nil},
		"unknown authority": {secure.URL, "the certificate is not trusted: an unknown authority signed it", nil},
		"trusted":           {secure.URL, "", roots},
		"another name": {
			strings.Replace(secure.URL, "127.0.0.1", "localhost", 1),
			"the certificate is not trusted: it is for another host name", roots,
		},
		"no TLS":        {strings.Replace(serve(t, http.NotFound).URL, "http:", "https:", 1), "the far side does not speak TLS", nil},
		"garbage":       {strings.Replace(serveRaw(t, say(planted)), "http:", "https:", 1), "the far side does not speak TLS", nil},
		"client unfit":  {picky.URL, "the far side refuses the TLS handshake", roots},
		"not HTTP":      {serveRaw(t, say(planted)), "no answer", nil},
		"hangs up":      {serveRaw(t, func(net.Conn) {}), "no answer", nil},
		"cut in header": {serveRaw(t, say("HTTP/1.1 200 OK\r\nX-Token: "+planted)), "the answer breaks off", nil},
		"cut in body":   {serveRaw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"+planted)), "the answer breaks off", nil},
		"cut in chunk": {
			serveRaw(t, say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"+planted)), "the answer breaks off", nil,
		},
		"no gzip": {serveRaw(t, say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+planted)), "no answer", nil},
		"odd status": {
			serveRaw(t, say("HTTP/1.1 "+planted+" "+planted+"\r\n\r\n")), "no answer", nil,
		},
	} {
		_, _, err := call(t, outbound.Config{Roots: row.roots, Timeout: 10 * time.Second}, row.url)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

func say(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// TestCauseOfOthers: what has no connection of its own to show for it.
func TestCauseOfOthers(t *testing.T) {
	refused := &net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	expired := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: planted}}
	weak := &tls.CertificateVerificationError{Err: errors.New(planted)}
	for want, err := range map[string]error{
		"the proxy: connection refused":                                       refused,
		"the certificate is not trusted: it has expired, or is not valid yet": expired,
		"the certificate is not trusted":                                      weak,
		"no answer in time":                                                   context.DeadlineExceeded,
		"no answer":                                                           errors.New(planted),
		"connection reset by peer":                                            fmt.Errorf("%s: %w", planted, syscall.ECONNRESET),
	} {
		if got := outbound.Cause(t.Context(), err); got.Error() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, err := range []error{os.ErrDeadlineExceeded, &net.DNSError{IsTimeout: true, Name: planted}} {
		if got := outbound.Cause(t.Context(), err).Error(); got != "no answer in time" {
			t.Errorf("got %q, want no answer in time", got)
		}
	}
	if got := outbound.Cause(t.Context(), refused); !errors.Is(got, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want it to be ECONNREFUSED still", got)
	}
	if got := outbound.Cause(t.Context(), io.EOF); !errors.Is(got, outbound.ErrNoAnswer) {
		t.Errorf("got %v, want %v", got, outbound.ErrNoAnswer)
	}
}

// TestEnd: the end of the caller's context comes before every other cause.
func TestEnd(t *testing.T) {
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, _, err := callWith(ctx, t, outbound.NewClient(outbound.Config{}), server.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, _, err := callWith(short, t, outbound.NewClient(outbound.Config{}), server.URL)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestAnswered: every answer is told of, with a header that can be changed before the caller sees it; a call without an answer
// is not.
func TestAnswered(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Reset", "9999")
		w.WriteHeader(http.StatusTeapot)
	})
	var told []outbound.Exchange
	client := outbound.NewClient(outbound.Config{Answered: func(e outbound.Exchange) {
		told = append(told, e)
		e.Header.Set("X-Reset", "1")
	}})
	before := time.Now()
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.Header.Get("X-Reset") != "1" {
		t.Errorf("got the header %v, want it as it was changed", response.Header)
	}
	if len(told) != 1 || told[0].Status != http.StatusTeapot || told[0].Asked.Before(before) ||
		told[0].Answered.Before(told[0].Asked) {
		t.Errorf("got %+v, want the one answer and its times", told)
	}
	server.Close()
	if _, err := client.Get(server.URL); err == nil || len(told) != 1 {
		t.Errorf("got %v and %d answers after the server went, want an error and no more", err, len(told))
	}
}

// TestTransport: what takes the network's place is bounded like it.
func TestTransport(t *testing.T) {
	client := outbound.NewClient(outbound.Config{MaxAnswer: 10, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("longer than ten"))}, nil
	})})
	if _, _, err := callWith(t.Context(), t, client, "http://far.invalid"); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v, want that the answer is too long", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRetryAfter: how long an answer asks to wait, and never for longer than a day.
func TestRetryAfter(t *testing.T) {
	soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for text, want := range map[string]struct {
		least, most time.Duration
		asked       bool
	}{
		"": {}, "soon": {}, "1.5": {}, "0x10": {}, "99999999999999999999999": {}, " ": {}, "Fri, 99 Jan 2100 00:00:00 GMT": {},
		"0": {asked: true}, "-5": {asked: true}, "-9223372036854775808": {asked: true},
		"17":                             {17 * time.Second, 17 * time.Second, true},
		"86401":                          {24 * time.Hour, 24 * time.Hour, true},
		"9223372036854775807":            {24 * time.Hour, 24 * time.Hour, true},
		soon:                             {85 * time.Second, 91 * time.Second, true},
		"Sat, 01 Jan 2000 00:00:00 GMT":  {asked: true},
		"Fri, 01 Jan 2100 00:00:00 GMT":  {24 * time.Hour, 24 * time.Hour, true},
		"Friday, 01-Jan-99 00:00:00 GMT": {asked: true},
	} {
		got, asked := outbound.RetryAfter(http.Header{"Retry-After": {text}})
		if got < want.least || got > want.most || asked != want.asked {
			t.Errorf("%q: got %v, %v, want %v to %v, %v", text, got, asked, want.least, want.most, want.asked)
		}
	}
	if got, asked := outbound.RetryAfter(nil); got != 0 || asked {
		t.Errorf("without a header: got %v, %v", got, asked)
	}
}

func TestCheckURL(t *testing.T) {
	strict, plain, query := outbound.URLRules{}, outbound.URLRules{Plain: true}, outbound.URLRules{Query: true}
	all := []outbound.URLRules{strict, plain, query}
	for url, good := range map[string][]outbound.URLRules{
		"https://example.com":          all,
		"https://example.com:1/a/b":    all,
		"HTTPS://example.com":          all,
		"http://127.0.0.1:9093":        all,
		"http://[::1]:9093/":           all,
		"http://localhost":             all,
		"http://example.com":           {plain},
		"http://localhost.example.com": {plain},
		"http://127.0.0.1.example.com": {plain},
		"http://[::ffff:127.0.0.1]/":   all,
		"http://10.0.0.1":              {plain},
		"https://example.com?planted":  {query},
		"http://example.com?planted":   {},
		"":                             {}, "example.com": {}, "ftp://example.com": {}, "https://": {}, "https://:443": {}, "//example.com": {},
		"https://planted:pw@example.com": {}, "https://planted@example.com": {}, "https://example.com#planted": {},
		"https://example.com/%zz": {}, "javascript:alert(1)": {}, "https://[planted": {}, "https://exa mple.com": {},
	} {
		for _, rules := range all {
			want := false
			for _, g := range good {
				want = want || g == rules
			}
			err := outbound.CheckURL(url, rules)
			if (err == nil) != want || err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "example")) {
				t.Errorf("%q by %+v: got %v, want it good: %v", url, rules, err, want)
			}
		}
	}
}

// TestRefusal: what is told of an error answer, and that it is what it means.
func TestRefusal(t *testing.T) {
	means := errors.New("it means something")
	for want, r := range map[string]*outbound.Refusal{
		"asking: Acme answers 404": {Doing: "asking", Who: "Acme", Status: 404},
		"asking: Acme answers 400 E1: it means something: do better": {
			Doing: "asking", Who: "Acme", Status: 400, Code: "E1", Means: means, Hint: "do better",
		},
		"asking: Acme answers 403: do better": {Doing: "asking", Who: "Acme", Status: 403, Hint: "do better"},
	} {
		if r.Error() != want || errors.Is(r, means) != (r.Means != nil) {
			t.Errorf("got %q, want %q", r, want)
		}
	}
}
