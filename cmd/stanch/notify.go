package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/terminal"
	"stanch/notify"
	"stanch/notify/compose"
	"stanch/notify/console"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"

	"github.com/spf13/cobra"
)

// newNotify makes the command that shows what people would be told, and tries whether it reaches them.
func newNotify() *cobra.Command {
	command := &cobra.Command{
		Use:     "notify",
		Short:   "Show what notices look like, and try a channel",
		Example: "  stanch notify render --incident 3f9a2c\n  stanch notify test oncall",
	}
	command.AddCommand(newNotifyRender(), newNotifyTest())
	return command
}

func newNotifyRender() *cobra.Command {
	command := &cobra.Command{
		Use:   "render",
		Short: "Print a notice as people would see it",
		Long: `Render prints the notice of an incident of the running serve or, without --incident, examples of every kind. With
--notifier they are in the words of its templates, and without what that channel may not be told. As JSON they are the
data that templates see.`,
		Example: "  stanch notify render\n  stanch notify render --incident 3f9a2c --notifier oncall\n  stanch notify render -o json",
		Args:    cobra.NoArgs,
	}
	server := &serveFlags{}
	server.add(command.Flags())
	incident := command.Flags().String("incident", "", "an incident's id, or the beginning of it")
	name := command.Flags().String("notifier", "", "a configured notifier")
	output := &terminal.Choice{Value: "text", Words: []string{"text", "json"}}
	command.Flags().VarP(output, "output", "o", "text or json")
	command.RunE = func(command *cobra.Command, _ []string) error {
		told, err := settingsFor(command, server.config, *name)
		if err != nil {
			return err
		}
		notices, err := notices(command.Context(), server, told, *name, *incident)
		if err != nil {
			return err
		}
		if output.Value == "json" {
			return terminal.Render(command.OutOrStdout(), output.Value, notices, nil)
		}
		return printNotices(command.Context(), command.OutOrStdout(), notices)
	}
	return command
}

// settingsFor reads what notices are composed by. Without a notifier and without a configuration file, there is no more than
// the notices themselves.
func settingsFor(command *cobra.Command, file, name string) (deliver.Settings, error) {
	if name == "" && file == config.DefaultFile && !there(file) {
		return deliver.Settings{}, nil
	}
	opened, err := open(command, file, role.Notifier)
	if err != nil {
		return deliver.Settings{}, err
	}
	told := opened.Notifier()
	if _, ok := told.Routes[name]; name != "" && !ok {
		meant := expr.Suggestion(name, slices.Sorted(maps.Keys(told.Routes)))
		return deliver.Settings{}, fmt.Errorf("the configuration has no notifier of that name%s", meant)
	}
	return told, nil
}

func there(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// notices are that of an incident, or the examples.
func notices(ctx context.Context, server *serveFlags, told deliver.Settings, name, incident string) ([]notify.Notice, error) {
	if incident == "" {
		return examples(told.Routes[name].Words)
	}
	if !idForm.MatchString(incident) {
		return nil, errID
	}
	client, err := server.dial()
	if err != nil {
		return nil, err
	}
	v, err := client.Incident(ctx, incident)
	if err != nil {
		return nil, err
	}
	n, ok, err := told.Preview(name, v.Incident, v.Steps, v.Sightings)
	if err == nil && !ok {
		err = errors.New("nothing of this incident is news yet: nobody is told")
	}
	return []notify.Notice{n}, err
}

func examples(words compose.Words) (all []notify.Notice, err error) {
	for _, n := range compose.Examples() {
		n, err := words.Write(n)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// printNotices prints notices as the console notifier does.
func printNotices(ctx context.Context, w io.Writer, notices []notify.Notice) error {
	out, err := (&console.Config{Output: w}).Open("render", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, n := range notices {
		if err := out.Notify(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// testTimeout bounds one notice of a test.
const testTimeout = 30 * time.Second

func newNotifyTest() *cobra.Command {
	command := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a test notice through a configured channel",
		Long: `Test opens the notifier as serve does and sends a notice that says that it is a test and that nothing leaked, then one
that settles it, so that no page stays open. Both are critical. The exit code is 0 when the channel took both.`,
		Example: "  stanch notify test oncall --config.file /etc/stanch/stanch.yaml",
		Args:    give("the name of one notifier"),
	}
	file := command.Flags().String("config.file", config.DefaultFile, "the configuration file")
	command.RunE = func(command *cobra.Command, args []string) error {
		if args[0] == "" {
			return errors.New("NAME is the name of a notifier in the configuration")
		}
		told, err := settingsFor(command, *file, args[0])
		if err != nil {
			return err
		}
		route := told.Routes[args[0]]
		for _, n := range testNotices(time.Now()) {
			if err := send(command.Context(), route.Notifier, n); err != nil {
				return fmt.Errorf("the channel did not take the test notice (%s): %w", n.Phase, err)
			}
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s took a test notice, and one that settles it.\n", args[0])
		return err
	}
	return command
}

func send(ctx context.Context, n notify.Notifier, notice notify.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	return n.Notify(ctx, notice)
}

// testNotices are one that opens, and one that settles what it opened. They are about an incident that is nobody's.
func testNotices(now time.Time) []notify.Notice {
	id := make([]byte, 32)
	_, _ = rand.Read(id) // which never fails
	incident := leak.Incident{
		ID: leak.Fingerprint(hex.EncodeToString(id)), State: leak.Failed, Severity: leak.Critical, Issuer: "test", Source: "test",
		ReceivedAt: now, SightingCount: 1,
	}
	opened := notify.Notice{
		ID: "test-" + rand.Text(), At: now, Severity: leak.Critical, Phase: notify.Opened, Incident: incident,
		Title: "TEST from stanch: this channel works, and nothing leaked",
		Facts: []notify.Fact{
			{Name: "What leaked", Text: "Nothing. Somebody ran `stanch notify test`."},
			{Name: "What to do next", Text: "Nothing: a second notice settles this one."},
		},
	}
	settled := opened
	settled.ID, settled.At, settled.Phase = "test-"+rand.Text(), now.Add(time.Millisecond), notify.Settled
	settled.Title, settled.Incident.State = "TEST from stanch: settled", leak.Closed
	settled.Facts = []notify.Fact{{Name: "What to do next", Text: "Nothing: the test is over."}}
	return []notify.Notice{opened, settled}
}
