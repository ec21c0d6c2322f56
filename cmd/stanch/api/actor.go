package api

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/listen"

	"go.yaml.in/yaml/v4"
	"golang.org/x/crypto/bcrypt"
)

// errNobody means that a request acts and nobody knows for whom.
var errNobody = errors.New("acting needs to be known: use the unix socket in the store's directory, " +
	"or sign in as a user of web.private.config_file")

// Actor names who sent a request: the peer of the unix socket as the kernel knows it, or a user whose password is right.
func (a *API) Actor(r *http.Request) (string, error) {
	if uid, ok := listen.Peer(r.Context()); ok {
		return nameOf(uid), nil
	}
	name, password, ok := r.BasicAuth()
	if !ok || a.WebConfig == "" {
		return "", errNobody
	}
	if err := a.signIn(name, password); err != nil {
		return "", err
	}
	return name, nil
}

// signIn checks a password against the web configuration file as it is now. The toolkit has checked it too, unless the
// file lost its users since; a name that nobody checked must not get into the log.
func (a *API) signIn(name, password string) error {
	data, err := os.ReadFile(a.WebConfig)
	if err != nil {
		return fmt.Errorf("reading web.private.config_file: %s", decode.Reason(err))
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if yaml.Load(data, &file) != nil {
		return errors.New("reading web.private.config_file: it is not what it was when the service started")
	}
	hash, known := file.Users[name]
	if !known || bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return errNobody
	}
	return nil
}

// nameOf is a user of this machine as steps name it: the number is what the kernel vouches for.
func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("uid %s (%s)", id, u.Username)
	}
	return "uid " + id
}
