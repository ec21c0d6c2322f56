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

// errNobody means that a request would change something and its sender is not known.
var errNobody = errors.New("who asks for this must be known: use the unix socket in the store's directory, " +
	"or sign in as a user of web.private.config_file")

// Actor returns who sent a request: the user at the other end of the unix socket, as the kernel knows it, or one who signed in with
// the right password.
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

// signIn checks a password against the web configuration file as it is now. The toolkit checks it too, but not if the file has lost
// its users since the start, and a name that nobody checked must not get into the log.
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

// nameOf returns the name of a user of this machine, as steps have it. The kernel only vouches for the number.
func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("uid %s (%s)", id, u.Username)
	}
	return "uid " + id
}
