package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// Users are those of a [Secured] cluster: one for each role, one for a process with all roles, and an operator.
var Users = []string{"receiver", "collector", "engine", "notifier", "stanch", "operator"}

// Secured is a cluster whose nodes are configured by a file such as that of deploy/nats, with TLS and a user for each of
// Users.
type Secured struct {
	*Cluster
	CA    string // file with the certificate that signs the nodes'
	seeds string // directory of files that are named after the users
}

// NewSecured starts a cluster whose stores are in a directory, and which ends with the test. It sets environment variables,
// which the file reads.
func NewSecured(t testing.TB, dir, configuration string) *Secured {
	t.Helper()
	s := &Secured{seeds: t.TempDir()}
	var key string
	s.CA, key = certificate(t)
	for name, value := range map[string]string{
		"MONITOR": quoted("127.0.0.1:-1"), "MAX_STORE": "16GB", "CA": quoted(s.CA), "CERT": quoted(s.CA), "KEY": quoted(key),
	} {
		t.Setenv(name, value)
	}
	for _, user := range Users {
		t.Setenv(strings.ToUpper(user)+"_NKEY", NewSeed(t, s.Seed(user)))
	}
	var err error
	s.Cluster, err = Start(dir, Options{Load: func(n Node) (*server.Options, error) { return load(t, n, configuration) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// load reads the configuration of a node.
func load(t testing.TB, n Node, configuration string) (*server.Options, error) {
	for name, value := range map[string]string{
		"NODE": n.Name, "LISTEN": quoted(fmt.Sprintf("127.0.0.1:%d", n.ClientPort)), "STORE": quoted(n.Dir),
		"ROUTE": quoted(fmt.Sprintf("127.0.0.1:%d", n.RoutePort)), "ROUTES": "[" + n.Routes + "]",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = os.Unsetenv(name) })
	}
	o, err := server.ProcessConfigFile(configuration)
	if err == nil {
		o.NoSigs, o.NoLog = true, true
	}
	return o, err
}

func quoted(text string) string { return `"` + text + `"` }

// Seed is the file with the seed of a user's nkey.
func (s *Secured) Seed(user string) string { return filepath.Join(s.seeds, user) }

// NewSeed writes the seed of a new nkey, and returns its public key.
func NewSeed(t testing.TB, file string) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, string(seed)+"\n")
	return public
}
