// Package console writes notices as text for people, to the standard output of the process unless told otherwise. It
// is the notifier of the demo and of small set-ups whose output a supervisor collects. One notice is one write, so that
// notices do not mix.
package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"stanch/notify"
)

// Config is the entry of a notifier of type console. It has no settings of its own.
type Config struct {
	// Output is where notices go; nil: the standard output. It cannot be set in a file.
	Output io.Writer `yaml:"-"`
}

// Check finds no fault: there is nothing to set.
func (c *Config) Check(func(field, problem string)) {}

// Open returns the notifier. Colours are used on a terminal only, and not when NO_COLOR is set (https://no-color.org).
func (c *Config) Open(string, *slog.Logger) (notify.Notifier, error) {
	out := c.Output
	if out == nil {
		out = os.Stdout
	}
	return &console{out: out, colour: onTerminal(out), writing: make(chan struct{}, 1)}, nil
}

func onTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type console struct {
	out     io.Writer
	colour  bool
	writing chan struct{} // held by whoever writes
}

// Notify implements [notify.Notifier]. When nobody reads, a write may outlive ctx, and later notices wait for it: a notice
// that was given up may still appear.
func (c *console) Notify(ctx context.Context, n notify.Notice) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("waiting to write a notice: %w", err)
	}
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting to write a notice: %w", ctx.Err())
	}
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.out, render(n, c.colour))
		<-c.writing
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			return fmt.Errorf("writing a notice: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("writing a notice: %w", ctx.Err())
	}
}
