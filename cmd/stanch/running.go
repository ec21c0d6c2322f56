package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
)

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
func (r *running) dial() (*api.Client, error) {
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
	return api.Dial(dir), nil
}

// storeDir is the directory of the serve's socket: that of its store, where the store is embedded.
func (r *running) storeDir() (string, error) {
	if r.dir != "" {
		return r.dir, nil
	}
	return config.SocketDir(r.config)
}

// dialServer returns a client over TCP.
func (r *running) dialServer() (*api.Client, error) {
	u, err := url.Parse(r.server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("--server must be an http or https URL without user and query")
	}
	var password []byte
	if r.passwordFile != "" {
		if password, err = os.ReadFile(r.passwordFile); err != nil {
			return nil, fmt.Errorf("reading the password: %s", decode.Reason(err))
		}
	}
	return api.NewClient(r.server, r.user, strings.TrimRight(string(password), "\r\n")), nil
}
