package natstest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
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

// NewSecured starts a cluster whose stores are in a directory, and which ends with the test. The variables of the file get their
// values from here, not from the environment, so that tests may run at the same time.
func NewSecured(t testing.TB, dir, configuration string) *Secured {
	t.Helper()
	s := &Secured{seeds: t.TempDir()}
	var key string
	s.CA, key = certificate(t)
	values := map[string]string{
		"MONITOR": quoted("127.0.0.1:-1"), "MAX_STORE": "16GB", "CA": quoted(s.CA), "CERT": quoted(s.CA), "KEY": quoted(key),
	}
	for _, user := range Users {
		values[strings.ToUpper(user)+"_NKEY"] = NewSeed(t, s.Seed(user))
	}
	var err error
	s.Cluster, err = Start(dir, Options{Load: func(n Node) (*server.Options, error) { return load(n, configuration, values) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var variable = regexp.MustCompile(`\$[A-Z_]+\b`)

// load reads the configuration of a node, with the node's own values beside those of the cluster.
func load(n Node, configuration string, shared map[string]string) (*server.Options, error) {
	values := maps.Clone(shared)
	maps.Copy(values, map[string]string{
		"NODE": n.Name, "LISTEN": quoted(fmt.Sprintf("127.0.0.1:%d", n.ClientPort)), "STORE": quoted(n.Dir),
		"ROUTE": quoted(fmt.Sprintf("127.0.0.1:%d", n.RoutePort)), "ROUTES": "[" + n.Routes + "]",
	})
	text, err := os.ReadFile(configuration)
	if err != nil {
		return nil, err
	}
	filled := variable.ReplaceAllStringFunc(string(text), func(name string) string { return cmp.Or(values[name[1:]], name) })
	o := &server.Options{}
	if err := o.ProcessConfigString(filled); err != nil {
		return nil, err
	}
	o.NoSigs, o.NoLog = true, true
	return o, nil
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
