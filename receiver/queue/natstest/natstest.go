// Package natstest runs a cluster of real NATS servers on loopback, inside the process of a test or in their own processes. Its
// nodes have a store each, and can be stopped and started again.
package natstest

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stanch/receiver/outbound/vendorfake"
)

// patience is how long a cluster may take to be ready, on a slow and busy machine.
const patience = 2 * time.Minute

// Options says what a cluster is like; the zero value is three nodes without users, TLS, or limits.
type Options struct {
	// Nodes is how many there are; 0: three.
	Nodes int
	// Load makes the options of a node each time that it starts, such as from a configuration file; nil: [Node.Options].
	Load func(Node) (*server.Options, error)
	// Processes makes each node a process, which Stop kills as kill -9 does, so that it cannot say goodbye. Their options
	// are [Node.Options], and TestMain must call [Main].
	Processes bool
}

// Node is the settings of one node.
type Node struct {
	Name                               string
	Dir                                string // of its store
	ClientPort, RoutePort, MonitorPort int    // on 127.0.0.1
	Routes                             string // the URLs of all nodes' routes, separated by commas
}

// Cluster is nodes that run. Methods are not safe for concurrent use, but the nodes are.
type Cluster struct {
	options   Options
	nodes     []Node
	servers   []*server.Server // nil: it does not run
	processes []*process       // nil: it does not run
}

// New starts a cluster, which ends with the test.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Alone starts one node that is no cluster, on which a stream can be kept once, and which ends with the test. change, if it is
// not nil, changes its options each time that it starts.
func Alone(t testing.TB, change func(*server.Options)) *Cluster {
	t.Helper()
	return New(t, Options{Nodes: 1, Load: func(n Node) (*server.Options, error) {
		o := n.Options()
		o.Cluster, o.Routes = server.ClusterOpts{}, nil
		if change != nil {
			change(o)
		}
		return o, nil
	}})
}

// Start starts a cluster whose stores are in a directory. The caller must Close it.
func Start(dir string, o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Load == nil {
		o.Load = func(n Node) (*server.Options, error) { return n.Options(), nil }
	}
	nodes, err := plan(dir, o.Nodes)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, nodes: nodes, servers: make([]*server.Server, o.Nodes), processes: make([]*process, o.Nodes)}
	for i := range nodes {
		if err = errors.Join(err, c.start(i)); err != nil {
			break
		}
	}
	if err = errors.Join(err, c.Ready()); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// plan gives each node a name, a directory and two ports that are free now.
func plan(dir string, n int) ([]Node, error) {
	ports, err := vendorfake.Ports(3 * n)
	if err != nil {
		return nil, fmt.Errorf("finding free ports: %w", err)
	}
	var nodes []Node
	var routes []string
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		nodes = append(nodes, Node{
			Name: name, Dir: filepath.Join(dir, name), ClientPort: ports[3*i], RoutePort: ports[3*i+1], MonitorPort: ports[3*i+2],
		})
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", ports[3*i+1]))
	}
	for i := range nodes {
		nodes[i].Routes = strings.Join(routes, ",")
	}
	return nodes, nil
}

// Options is a node with JetStream that flushes what it acknowledges, without users and without TLS.
func (n Node) Options() *server.Options {
	return &server.Options{
		ServerName: n.Name,
		Host:       "127.0.0.1", Port: n.ClientPort,
		HTTPHost: "127.0.0.1", HTTPPort: n.MonitorPort,
		Cluster:    server.ClusterOpts{Name: "stanch", Host: "127.0.0.1", Port: n.RoutePort},
		Routes:     server.RoutesFromStr(n.Routes),
		JetStream:  true,
		StoreDir:   n.Dir,
		SyncAlways: true,
		NoSigs:     true, NoLog: true,
	}
}

func (c *Cluster) start(i int) (err error) {
	if c.options.Processes {
		c.processes[i], err = startProcess(c.nodes[i])
		return err
	}
	o, err := c.options.Load(c.nodes[i])
	if err != nil {
		return fmt.Errorf("configuring node %d: %w", i, err)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("making node %d: %w", i, err)
	}
	s.Start()
	c.servers[i] = s
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("node %d takes no connections", i)
	}
	return nil
}

// URLs are the addresses of all nodes, as nats.Connect takes them.
func (c *Cluster) URLs() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", n.ClientPort))
	}
	return strings.Join(urls, ",")
}

// Server is a node that runs inside this process, or nil.
func (c *Cluster) Server(i int) *server.Server { return c.servers[i] }

// Stop ends a node; its store stays.
func (c *Cluster) Stop(i int) {
	if s := c.servers[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.servers[i] = nil
	}
	if p := c.processes[i]; p != nil {
		p.kill()
		c.processes[i] = nil
	}
}

// Start starts a node again that was stopped.
func (c *Cluster) Start(t testing.TB, i int) {
	t.Helper()
	if err := c.start(i); err != nil {
		t.Fatal(err)
	}
}

// Ready waits until the running nodes have a leader and know each other. Nodes in their own processes must also have caught up
// with every stream and consumer: stopping one before another has caught up would stop both.
func (c *Cluster) Ready() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c.options.Processes && c.healthy() || !c.options.Processes && c.ready() {
			return nil
		}
	}
	return errors.New("the cluster is not ready in time")
}

func (c *Cluster) ready() bool {
	led, running := false, 0
	for _, s := range c.servers {
		if s != nil {
			running++
		}
	}
	for _, s := range c.servers {
		switch {
		case s == nil:
		case !s.JetStreamIsClustered():
			led = true
		case !s.JetStreamIsCurrent():
			return false
		case s.JetStreamIsLeader():
			led = len(s.JetStreamClusterPeers()) >= running
		}
	}
	return led
}

// healthy reports whether every node that runs says that it, its streams and its consumers are.
func (c *Cluster) healthy() bool {
	for i, p := range c.processes {
		if p != nil && !healthy(fmt.Sprintf("http://127.0.0.1:%d/healthz", c.nodes[i].MonitorPort)) {
			return false
		}
	}
	return true
}

func healthy(url string) bool {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Close ends all nodes, at once.
func (c *Cluster) Close() {
	var all sync.WaitGroup
	for i := range c.servers {
		all.Go(func() { c.Stop(i) })
	}
	all.Wait()
}
