//go:build unix

package listen

import "syscall"

// maxFiles is how many files the process may have open, connections included. At the start Go has raised that to all that
// the system allows.
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}
