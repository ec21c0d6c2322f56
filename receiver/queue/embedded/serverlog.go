package embedded

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// serverLog passes the log of the NATS server to ours. It remembers the last fatal message: the server expects its logger to
// end the process then, and only stops starting when the logger does not.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Value // string
}

// Noticef implements the server's Logger, as do the rest.
func (l *serverLog) Noticef(format string, args ...any) {
	l.log.Debug("nats server", "text", fmt.Sprintf(format, args...))
}

func (l *serverLog) Warnf(format string, args ...any) {
	l.log.Warn("nats server", "text", fmt.Sprintf(format, args...))
}

func (l *serverLog) Errorf(format string, args ...any) {
	l.log.Error("nats server", "text", fmt.Sprintf(format, args...))
}

func (l *serverLog) Fatalf(format string, args ...any) {
	l.fatal.Store(fmt.Sprintf(format, args...))
}

func (l *serverLog) Debugf(string, ...any) {}

func (l *serverLog) Tracef(string, ...any) {}

// failed reports whether the server gave up.
func (l *serverLog) failed() bool { return l.fatal.Load() != nil }

// cause is why the server does not start.
func (l *serverLog) cause() string {
	if text, ok := l.fatal.Load().(string); ok {
		return text
	}
	return "it is not ready in time"
}
