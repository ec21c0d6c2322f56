package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"stanch/cmd/stanch/listen"
)

// requestTimeout bounds what a command waits for an answer.
const requestTimeout = 30 * time.Second

// Client calls the API of a running serve. Its errors are written for the person at the command line. It is safe for concurrent use.
type Client struct {
	base           string
	http           *http.Client
	user, password string // for a listener that asks for them
}

// NewClient returns a client of the private listener at a base URL. Without a user, it does not sign in.
func NewClient(base, user, password string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), user: user, password: password, http: &http.Client{
		Timeout: requestTimeout,
		// A redirect would carry the password to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Dial returns a client of the unix socket in a directory. It connects when the first request is made.
func Dial(dir string) *Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return listen.Dial(ctx, dir)
	}}
	return &Client{base: "http://localhost", http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// get decodes the answer to a GET.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.ask(ctx, http.MethodGet, path, nil, into)
}

// post sends a body as JSON and decodes the answer.
func (c *Client) post(ctx context.Context, path string, body, into any) error {
	return c.ask(ctx, http.MethodPost, path, body, into)
}

func (c *Client) ask(ctx context.Context, method, path string, body, into any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading stanch's answer: %w", err)
	}
	return nil
}

// send returns the answer to a request if it is a good one.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("asking stanch: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("asking stanch: %w", err)
	}
	if c.user != "" {
		request.SetBasicAuth(c.user, c.password)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.Explain(err)
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		return nil, readRefusal(response)
	}
	return response, nil
}

// Explain turns the error of a request into one that says what a person can do. It drops the URL, which means nothing to them.
func (c *Client) Explain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	socket := c.base == "http://localhost"
	if socket && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)) {
		return errors.New("no stanch is running on that store: start it with 'stanch serve', or name another one with --config.file or --store.dir")
	}
	return fmt.Errorf("asking stanch: %w", err)
}

func readRefusal(response *http.Response) error {
	var refusal struct {
		Error string `json:"error"`
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if json.Unmarshal(body, &refusal) != nil || refusal.Error == "" {
		return fmt.Errorf("stanch answered %s", response.Status)
	}
	return errors.New(refusal.Error)
}

// maxText is how much of a plain-text answer is read, in bytes.
const maxText = 4 << 20

// Text returns an answer in plain text, such as metrics, whatever its status. Pass an error on through [Client.Explain].
func (c *Client) Text(ctx context.Context, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxText))
	return response.StatusCode, string(body), err
}

// Answers reports whether a serve is listening.
func (c *Client) Answers(ctx context.Context) bool {
	_, _, err := c.Text(ctx, "/-/healthy")
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, listen.ErrPathTooLong)
}
