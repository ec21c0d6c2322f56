package terminal

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"stanch/receiver/collect"
)

// Count returns a function that shows on a terminal how much is done, of how much in all once that is known. Elsewhere it shows
// nothing.
func Count(w io.Writer, what string) func(done, all int) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int, int) {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription(what), progressbar.OptionClearOnFinish())
	return func(done, all int) {
		if all > 0 {
			bar.ChangeMax(all)
		}
		_ = bar.Set(done) // a terminal that is gone
	}
}

// CountSwept returns a function that shows on a terminal how far a sweep has come. Elsewhere it shows nothing.
func CountSwept(w io.Writer, source string) func(collect.Swept) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(collect.Swept) {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription("sweeping "+source), progressbar.OptionClearOnFinish())
	return func(s collect.Swept) {
		bar.Describe(fmt.Sprintf("sweeping %s: %d missed", source, s.Missed))
		_ = bar.Set(s.Listed) // a terminal that is gone
	}
}
