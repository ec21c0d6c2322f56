package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/settings"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/inspect"
)

const (
	// leastFree is the free space below which a store cannot be expected to work.
	leastFree = 64 << 20
	// slowFlush is how long a disk flush may take before a person would notice.
	slowFlush = 50 * time.Millisecond
	// flushes is how many of them are measured.
	flushes = 7
	// flushed is how much is written before each, in bytes.
	flushed = 4 << 10
)

// inMemory are the kinds of file systems, as statfs(2) of Linux calls them, that keep nothing: tmpfs and ramfs.
var inMemory = []int64{0x01021994, 0x858458f6}

// examineStore examines the store, embedded or in a cluster.
func examineStore(ctx context.Context, c *config.Config) []leak.Finding {
	if n := c.Store.NATS; n != nil {
		keys, err := settings.ReadKeys(c)
		if err != nil {
			return notOpened(err)
		}
		return inspect.Cluster(ctx, settings.Cluster(c, keys, quiet), n.MonitoringURLs)
	}
	return examineEmbedded(c.Store.Embedded)
}

// examineEmbedded examines the store's directory, as far as a serve that uses it allows.
func examineEmbedded(e config.Embedded) []leak.Finding {
	var found leak.Findings
	if !examineDir(e.Dir, &found) {
		return found
	}
	examineSpace(e, &found)
	took, err := measureFlush(e.Dir)
	judgeFlush(took, err, &found)
	found.Good("sync", "always: what is acknowledged has been flushed to the disk, so that each promise costs one flush")
	return found
}

// examineDir checks the owner of the directory, and reports whether it can be examined further.
func examineDir(dir string, found *leak.Findings) bool {
	const check = "directory"
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		found.Doubt(check, "it is not there: the first start makes it")
		return false
	}
	if err == nil {
		_, err = os.ReadDir(dir)
	}
	if err != nil {
		found.Broken(check, "it cannot be read: %s", decode.Reason(err))
		return false
	}
	examineOwner(check, info, found)
	return true
}

// examineSpace compares what the disk has left with what the store may still take.
func examineSpace(e config.Embedded, found *leak.Findings) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(e.Dir, &disk); err != nil {
		found.Doubt("space", "the disk does not say how much is free: %v", err)
		return
	}
	if slices.Contains(inMemory, int64(disk.Type)) {
		found.Doubt("disk", "it is the machine's memory: a restart of the machine loses the store")
	}
	limit := cmp.Or(e.MaxBytes, queue.DefaultMaxStore)
	judgeSpace(config.Size(disk.Bavail*uint64(disk.Bsize)), max(0, limit-sizeOf(e.Dir)), found)
}

// judgeSpace judges the free space by how much the store may still grow.
func judgeSpace(free, grows config.Size, found *leak.Findings) {
	const check = "space"
	text := fmt.Sprintf("%s are free, and the store may grow by %s", free.About(), grows.About())
	switch {
	case free < leastFree:
		found.Broken(check, "%s: deliveries will soon be refused", text)
	case free < grows:
		found.Doubt(check, "%s: make max_bytes smaller or the disk larger", text)
	default:
		found.Good(check, "%s", text)
	}
}

// sizeOf adds up the files below a directory; those that cannot be read, or vanish on the way, do not count.
func sizeOf(dir string) (sum config.Size) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			sum += config.Size(info.Size())
		}
		return nil
	})
	return sum
}

// judgeFlush judges how long a small write takes to reach the disk, or that it failed.
func judgeFlush(took time.Duration, err error, found *leak.Findings) {
	const check = "flush"
	switch {
	case err != nil:
		found.Broken(check, "nothing can be written: %s", decode.Reason(err))
	case took > slowFlush:
		found.Doubt(check, "a write takes %v to reach the disk, and each promise costs one: a faster disk helps", took)
	default:
		found.Good(check, "a write takes %v to reach the disk, and each promise costs one", took)
	}
}

// measureFlush returns the median time of a few flushed writes to a temporary file.
func measureFlush(dir string) (time.Duration, error) {
	file, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	took := make([]time.Duration, flushes)
	for n := range took {
		begin := time.Now()
		if _, err := file.Write(make([]byte, flushed)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		took[n] = time.Since(begin)
	}
	slices.Sort(took)
	return took[flushes/2].Round(time.Microsecond), nil
}
