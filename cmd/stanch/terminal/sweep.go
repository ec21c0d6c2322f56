package terminal

import (
	"fmt"
	"io"

	"stanch/receiver/collect"
)

// Swept prints what a sweep of a source found.
func Swept(w io.Writer, source string, s collect.Swept, dryRun bool) {
	verb := "are queued now"
	if dryRun {
		verb = "would be queued"
	}
	_, _ = fmt.Fprintf(w, "%s holds %d open alerts; %d that no incident knew %s\n", source, s.Listed, s.Missed, verb)
	switch {
	case s.Problem != "":
		_, _ = fmt.Fprintf(w, "failed deliveries could not be looked for: %s\n", printable(s.Problem))
	case !dryRun:
		_, _ = fmt.Fprintf(w, "%d failed deliveries are sent again\n", s.Redelivered)
	}
}
