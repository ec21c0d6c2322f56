package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
)

// serveFlags name a running serve.
type serveFlags struct {
	config       string // its configuration file; one by the default name need not be there
	dir          string // its store directory; empty: the configuration's
	server       string // the URL of its private listener; empty: the socket in the store directory
	user         string // of its web configuration file
	passwordFile string
}

// add adds them to the flags of a command.
func (r *serveFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.config, "config.file", config.DefaultFile, "the configuration file of the running serve")
	f.StringVar(&r.dir, "store.dir", "", "the store directory of the running serve, instead of the configuration file's")
	f.StringVar(&r.server, "server", "", "the URL of the private listener of the running serve, instead of its socket in the store directory")
	f.StringVar(&r.user, "user", "", "the user to sign in as at --server")
	f.StringVar(&r.passwordFile, "password-file", "", "a file that holds that user's password")
}

// dial returns a client of the serve.
func (r *serveFlags) dial() (*api.Client, error) {
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
func (r *serveFlags) storeDir() (string, error) {
	if r.dir != "" {
		return r.dir, nil
	}
	return config.SocketDir(r.config)
}

// dialServer returns a client over TCP.
func (r *serveFlags) dialServer() (*api.Client, error) {
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

// idForm is the beginning of an incident's id.
var idForm = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

func idArg(_ *cobra.Command, args []string) error {
	if !idForm.MatchString(args[0]) {
		return errID
	}
	return nil
}

var errID = errors.New("ID must consist of the digits 0-9 and a-f, as 'stanch incidents list' prints it")
