package telemetry

import "runtime/debug"

// Version returns the version that the Go tool stamped into the binary: a tag, or one made of commit and time.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
