// Package listen opens what the service listens on: the unix socket, the private listener and the public one, with their timeouts
// and the limit on connections.
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

// socketName is the unix socket by which commands reach a running serve. It is in the directory of the store or, with a cluster, in
// that of the process.
const socketName = "stanch.sock"

// Socket listens on the unix socket in a directory, which it makes if necessary. It replaces a socket that a killed process left
// behind. Only the same user can connect.
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

// ErrPathTooLong means that the path of the socket is longer than the system allows, which the system itself calls an invalid
// argument.
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

// WithPeer adds the user at the other end of a unix socket to the context of its requests. It is for [http.Server.ConnContext].
func WithPeer(ctx context.Context, c net.Conn) context.Context {
	if conn, ok := c.(*net.UnixConn); ok {
		if uid, err := peerOf(conn); err == nil {
			return context.WithValue(ctx, peerKey{}, uid)
		}
	}
	return ctx
}

// Peer returns the id of the user who sent a request over the unix socket; ok is false for every other request.
func Peer(ctx context.Context) (uid uint32, ok bool) {
	uid, ok = ctx.Value(peerKey{}).(uint32)
	return uid, ok
}
