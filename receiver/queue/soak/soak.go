// Package soak says at which size the exercises of the tests run. make test runs a small version of each, with the race detector;
// make soak, which sets STANCH_SOAK, runs them at full size and without it, and then checks also what takes a quiet process to
// measure, such as memory.
package soak

import "os"

// On reports whether this is make soak.
func On() bool { return os.Getenv("STANCH_SOAK") != "" }

// Size returns small in make test and full in make soak.
func Size(small, full int) int {
	if On() {
		return full
	}
	return small
}
