package listen

import (
	"container/list"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Gate limits the connections of a listener. A new connection is always accepted; when there are too many, the one that has been
// idle longest is cut. So a sender who is served promptly stays, and those who only hold their connections make room for each
// other. Addresses play no part: behind a proxy everybody has the same one.
type Gate struct {
	net.Listener
	most func() int // asked at each connection
	cut  prometheus.Counter

	mu   sync.Mutex
	open list.List // of *gated, the one that was quiet for longest first
}

// gated is a connection that came through a gate.
type gated struct {
	net.Conn
	gate  *Gate
	place *list.Element // nil: it is closed
}

// NewGate puts a gate before a listener. It asks most for the limit at each new connection.
func NewGate(l net.Listener, most func() int, reg prometheus.Registerer) *Gate {
	g := &Gate{Listener: l, most: most, cut: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "stanch_connections_cut_total",
		Help: "How many connections to the public listener were cut because there were too many.",
	})}
	reg.MustRegister(g.cut, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stanch_connections",
		Help: "How many connections the public listener has open.",
	}, func() float64 { return float64(g.size()) }))
	return g
}

// Accept implements [net.Listener].
func (g *Gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &gated{Conn: conn, gate: g}
	for _, quiet := range g.enter(c) {
		g.cut.Inc()
		_ = quiet.Close() // whoever waits for it is told
	}
	return c, nil
}

// size is how many connections are open.
func (g *Gate) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open.Len()
}

// enter adds a connection and returns those that are too many.
func (g *Gate) enter(c *gated) (quiet []*gated) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.place = g.open.PushBack(c)
	for e := g.open.Front(); g.open.Len()-len(quiet) > g.most() && e != c.place; e = e.Next() {
		quiet = append(quiet, e.Value.(*gated))
	}
	return quiet
}

// noted is an [http.Server.ConnState]: a request on a connection has begun or ended.
func (g *Gate) noted(conn net.Conn, _ http.ConnState) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*gated)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.place != nil {
		g.open.MoveToBack(c.place)
	}
}

// Close implements [net.Conn].
func (c *gated) Close() error {
	c.gate.mu.Lock()
	if c.place != nil {
		c.gate.open.Remove(c.place)
		c.place = nil
	}
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends our half of the connection: so an answer arrives that comes before the end of the question.
func (c *gated) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}
