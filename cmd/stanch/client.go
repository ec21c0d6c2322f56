package main

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
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"

	"github.com/spf13/pflag"
)

// requestTimeout bounds what a command waits for an answer.
const requestTimeout = 30 * time.Second

// client speaks to the API of a running serve.
type client struct {
	base           string
	http           *http.Client
	user, password string // for a listener that asks for them
}

// running names a serve, as the flags of a command do.
type running struct {
	config       string // its configuration file; one by the default name need not be there
	dir          string // its store directory; empty: the configuration's
	server       string // the URL of its private listener; empty: the socket in the store directory
	user         string // of its web configuration file
	passwordFile string
}

// flags adds the flags that name a serve.
func (r *running) flags(f *pflag.FlagSet) {
	f.StringVar(&r.config, "config.file", config.DefaultFile, "the configuration file of the running serve")
	f.StringVar(&r.dir, "store.dir", "", "its store directory, instead of the configuration file's")
	f.StringVar(&r.server, "server", "", "the URL of its private listener, instead of the socket in the store directory")
	f.StringVar(&r.user, "user", "", "the user to sign in as at --server")
	f.StringVar(&r.passwordFile, "password-file", "", "a file that holds that user's password")
}

// dial returns a client of the serve.
func (r *running) dial() (*client, error) {
	switch {
	case r.server != "":
		return r.dialServer()
	case r.user != "" || r.passwordFile != "":
		return nil, errors.New("--user and --password-file are for --server: over the socket the kernel says who you are")
	}
	dir, err := r.storeDir()
	if err != nil {
		return nil, err
	}
	return dial(dir), nil
}

// storeDir is the directory of the serve's socket: that of its store, where the store is embedded.
func (r *running) storeDir() (string, error) {
	if r.dir != "" {
		return r.dir, nil
	}
	return config.SocketDir(r.config)
}

// dialServer returns a client over TCP.
func (r *running) dialServer() (*client, error) {
	u, err := url.Parse(r.server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("--server must be an http or https URL without user and query")
	}
	c := &client{base: strings.TrimRight(r.server, "/"), user: r.user, http: &http.Client{
		Timeout: requestTimeout,
		// A redirect would carry the password to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if r.passwordFile != "" {
		password, err := os.ReadFile(r.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("reading the password: %s", decode.Reason(err))
		}
		c.password = strings.TrimRight(string(password), "\r\n")
	}
	return c, nil
}

// dial returns a client over the unix socket of the store in dir.
func dial(dir string) *client {
	path := filepath.Join(dir, socketName)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if tooLong(path) {
			return nil, errPathTooLong
		}
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	return &client{base: "http://localhost", http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// get decodes the answer to a GET. Its errors are for the person who gave the command.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.ask(ctx, http.MethodGet, path, nil, into)
}

// post sends a body as JSON and decodes the answer.
func (c *client) post(ctx context.Context, path string, body, into any) error {
	return c.ask(ctx, http.MethodPost, path, body, into)
}

func (c *client) ask(ctx context.Context, method, path string, body, into any) error {
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
func (c *client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
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
		return nil, c.explain(err)
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		return nil, readRefusal(response)
	}
	return response, nil
}

// explain says what a person can do about an error of a request, without the URL, which is our own business.
func (c *client) explain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	socket := c.base == "http://localhost"
	if socket && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)) {
		return errors.New("no stanch is running on that store: start it with 'stanch serve', or name another by --config.file or --store.dir")
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
