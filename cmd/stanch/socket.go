package main

import (
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
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"
)

// socketName is the unix socket in the store's directory, through which commands reach a running serve.
const socketName = "stanch.sock"

// listenSocket listens on the unix socket of a store that this process has locked; one that is left from a process that
// was killed is replaced. Only the same user may connect.
func listenSocket(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	if tooLong(path) {
		return nil, fmt.Errorf("listening on the store's socket: %w", errPathTooLong)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the store's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("guarding the store's socket: %w", err), listener.Close())
	}
	return listener, nil
}

// errPathTooLong says what the system calls an invalid argument.
var errPathTooLong = fmt.Errorf("the store directory's path is too long: with /%s it may have %d bytes", socketName, maxPath)

// maxPath is the longest path of a unix socket, in bytes; the system needs one more to end it.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func tooLong(path string) bool { return len(path) > maxPath }

// requestTimeout bounds what a command waits for an answer.
const requestTimeout = 30 * time.Second

// client speaks to the API of a running serve.
type client struct {
	base string
	http *http.Client
}

// running names a serve, as the flags of a command do.
type running struct {
	config string // its configuration file; one by the default name need not be there
	dir    string // its store directory; empty: the configuration's
}

// dial returns a client of the serve.
func (r *running) dial() (*client, error) {
	if r.dir != "" {
		return dial(r.dir), nil
	}
	var c struct {
		Store Store `yaml:"store"`
	}
	data, err := os.ReadFile(r.config)
	switch {
	case errors.Is(err, fs.ErrNotExist) && r.config == defaultConfig:
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	case yaml.Load(data, &c) != nil:
		return nil, fmt.Errorf("reading the configuration: run 'stanch check-config %s'", r.config)
	}
	fallback(&c.Store.Embedded.Dir, defaultStore)
	return dial(c.Store.Embedded.Dir), nil
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
	u := c.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fmt.Errorf("asking stanch: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return explainDial(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return readRefusal(response)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading stanch's answer: %w", err)
	}
	return nil
}

func explainDial(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("no stanch is running on that store: start it with 'stanch serve', or name another by --config.file or --store.dir")
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which is our own business
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
