package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"stanch/receiver/queue"
	"stanch/receiver/queue/layout"
)

// ErrInUse means that another process has the store open.
var ErrInUse = errors.New("it is in use by another process")

// consumersDir is where the server keeps the consumers of a stream, below the stream's own directory. A copy has none.
const consumersDir = "obs"

// Copy is a store that [OpenCopy] opened. It is there to be read: changes to it are lost when it is closed.
type Copy struct {
	*Store
	dir string
}

// OpenCopy opens the log of a store that no process uses, or of a backup of one, as it is. A stream that somebody changed is
// opened all the same, and Stats says so. Because opening a store writes to it, the log and its checkpoints are copied into
// a temporary directory, which Close removes, and dir stays unchanged. Every other stream is empty. ErrInUse: a process has
// the store open.
func OpenCopy(ctx context.Context, dir string, log *slog.Logger) (*Copy, error) {
	temporary, err := os.MkdirTemp("", "stanch-copy-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for a copy of the store: %w", err)
	}
	c := &Copy{dir: temporary}
	if err := copyLog(ctx, temporary, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("copying the store %s: %w", dir, err), c.remove())
	}
	config := Config{Dir: temporary, Log: log}.withDefaults()
	c.Store, err = open(ctx, config, layout.Layout{
		MaxStore: config.MaxStore, Replicas: 1, Vacant: vacantIn(temporary), AsFound: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a copy of the store %s: %w", dir, err), c.remove())
	}
	return c, nil
}

// Close ends the copy and removes its files.
func (c *Copy) Close() error { return errors.Join(c.Store.Close(), c.remove()) }

func (c *Copy) remove() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("removing the copy of the store: %w", err)
	}
	return nil
}

// copyLog copies the streams of the log, and keeps processes from opening the store meanwhile.
func copyLog(ctx context.Context, to, from string) error {
	lock, err := lockCopied(from)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if _, err := os.Stat(streamDir(from, queue.Incidents)); err != nil {
		return fmt.Errorf("it holds no log: %w", err)
	}
	for _, stream := range []string{queue.Incidents, queue.Checkpoints} {
		err := copyFiles(ctx, streamDir(to, stream), streamDir(from, stream))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a store of an older version has no checkpoints
			return err
		}
	}
	return nil
}

// lockCopied keeps processes out of a store while it is copied, without writing to it. A backup may have no lock.
func lockCopied(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err == nil && !free {
		return nil, errors.Join(ErrInUse, lock.Close())
	}
	return lock, nil
}

// copyFiles copies the directory of a stream. It refuses anything that is neither a file nor a directory.
func copyFiles(ctx context.Context, to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == consumersDir:
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, below), 0o700)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no file", path)
		}
		return copyFile(filepath.Join(to, below), path)
	})
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
