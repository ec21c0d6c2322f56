package doctor

import (
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"stanch/receiver/leak"
)

// quiet is the log of adapters under examination, which report findings instead.
var quiet = slog.New(slog.DiscardHandler)

// notOpened is the finding about an adapter that cannot be opened.
func notOpened(err error) []leak.Finding {
	return []leak.Finding{{Check: "configuration", Result: leak.Broken, Text: err.Error()}}
}

// examineOwner checks who owns a directory and who else may read it.
func examineOwner(check string, info fs.FileInfo, found *leak.Findings) {
	mode, us := info.Mode().Perm(), os.Geteuid()
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case known && int(owner.Uid) != us && us != 0:
		found.Broken(check, "it belongs to user %d, and we are user %d", owner.Uid, us)
	case known && int(owner.Uid) != us:
		found.Doubt(check, "it belongs to user %d: run doctor and serve as that one", owner.Uid)
	case mode&0o077 != 0:
		found.Doubt(check, "its mode is %04o, so that others may look into it: chmod 700", mode)
	default:
		found.Good(check, "it is ours alone, mode %04o", mode)
	}
}
