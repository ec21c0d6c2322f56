package vendorfake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// ports are those that [Ports] gave away. It begins anywhere, because other processes look for ports too.
var ports = struct {
	sync.Mutex
	next int
}{next: rand.IntN(lastPort - firstPort)}

// Systems give outgoing connections ports from 32768 on.
const firstPort, lastPort = 15000, 32000

// Ports finds ports of the loopback address that nobody listens on, and gives none of them twice. No outgoing connection can
// take them, so that a process which is killed finds its port free again.
func Ports(n int) (found []int, err error) {
	ports.Lock()
	defer ports.Unlock()
	for range lastPort - firstPort {
		port := firstPort + ports.next
		ports.next = (ports.next + 1) % (lastPort - firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		if found = append(found, port); len(found) == n {
			return found, nil
		}
	}
	return nil, errors.New("no port is free")
}
