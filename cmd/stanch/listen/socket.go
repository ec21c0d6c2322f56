// Package listen is what the service listens on, and how it bounds those who connect.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socketName is the unix socket in the store's directory, or where the configuration says when the store is elsewhere, through
// which commands reach a running serve.
const socketName = "stanch.sock"

// Socket listens on the unix socket in a directory, which it makes if need be; one that is left from a process that was
// killed is replaced. Only the same user may connect.
func Socket(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	if tooLong(path) {
		return nil, fmt.Errorf("listening on the store's socket: %w", ErrPathTooLong)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the socket's directory: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(errSocketTaken, conn.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the store's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("guarding the store's socket: %w", err), listener.Close())
	}
	return listener, nil
}

// errSocketTaken cannot happen where the store is embedded, because a process locks it.
var errSocketTaken = errors.New("another stanch listens on the socket: give each process on a machine a store.nats.dir of its own")

// ErrPathTooLong means that the system has no room for the path of the socket. It says what the system calls an invalid argument.
var ErrPathTooLong = fmt.Errorf("the store directory's path is too long: with /%s it may have %d bytes", socketName, maxPath)

// maxPath is the longest path of a unix socket, in bytes; the system needs one more to end it.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func tooLong(path string) bool { return len(path) > maxPath }

// Dial connects to the unix socket in a directory.
func Dial(ctx context.Context, dir string) (net.Conn, error) {
	path := filepath.Join(dir, socketName)
	if tooLong(path) {
		return nil, ErrPathTooLong
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// peerKey is the context key of the user id at the other end of a unix socket.
type peerKey struct{}

// WithPeer notes who is at the other end of a connection of the unix socket. It is an [http.Server.ConnContext].
func WithPeer(ctx context.Context, c net.Conn) context.Context {
	if conn, ok := c.(*net.UnixConn); ok {
		if uid, err := peerOf(conn); err == nil {
			return context.WithValue(ctx, peerKey{}, uid)
		}
	}
	return ctx
}

// Peer is the user id at the other end of the unix socket that a request came by; ok is false for every other request.
func Peer(ctx context.Context) (uid uint32, ok bool) {
	uid, ok = ctx.Value(peerKey{}).(uint32)
	return uid, ok
}
