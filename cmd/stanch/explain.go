package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/cmd/stanch/terminal"
	"stanch/receiver/leak"

	"github.com/spf13/cobra"
)

// question is what explain is asked about.
type question struct{ key, alert, incident, source string }

// newExplain makes the command that tells what would be done, and why.
func newExplain() *cobra.Command {
	command := &cobra.Command{
		Use:   "explain",
		Short: "Say what would be done with a key, by which rule, and why",
		Long: `Explain says what would be done with a key, which rule decides and why, and what would follow. It reads the key at
its issuer and changes nothing.

  --key-id ID       a key that has not leaked; rules that look at the alert see an empty one
  --alert FILE      a delivery of a source as it arrives in the body; "-" is standard input. The secret in it is
                    shown to the issuers that its type or pattern allows, and to nobody else
  --incident ID     an incident, as the policy of the running serve stands now`,
		Example: "  stanch explain --key-id ApiKey-5ccff000-9ff1-4481-a760-29c22a7603e7\n" +
			"  stanch explain --alert delivery.json --source gh-partner -o json\n  stanch explain --incident 3f9a2c",
	}
	var q question
	server := &serveFlags{}
	server.add(command.Flags())
	command.Flags().StringVar(&q.key, "key-id", "", "the issuer's id of a key")
	command.Flags().StringVar(&q.alert, "alert", "", "a file that holds a delivery")
	command.Flags().StringVar(&q.source, "source", "", "with --alert: the source whose delivery it is; needed when there are several")
	command.Flags().StringVar(&q.incident, "incident", "", "an incident's id, or the beginning of it")
	command.Args = func(command *cobra.Command, args []string) error {
		if q.key == "" && q.alert == "" && q.incident == "" {
			return errors.New("give one of --key-id, --alert and --incident")
		}
		return cobra.NoArgs(command, args)
	}
	command.MarkFlagsMutuallyExclusive("key-id", "alert", "incident")
	output := terminal.OutputFlag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		all, err := q.ask(command, server)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, all, func(w io.Writer) { terminal.Explanations(w, all) })
	}
	return command
}

func (q question) ask(command *cobra.Command, server *serveFlags) ([]api.Explanation, error) {
	ctx := command.Context()
	if q.incident != "" {
		return q.askServe(ctx, server)
	}
	roles := []string{role.Engine}
	if q.alert != "" {
		roles = append(roles, role.Receiver)
	}
	opened, err := open(command, server.config, roles...)
	if err != nil {
		return nil, err
	}
	if q.key != "" {
		e, err := opened.Engine().ExplainKey(ctx, q.key)
		if errors.Is(err, leak.ErrNotFound) {
			return nil, errors.New("no configured issuer has a key of that id")
		}
		return []api.Explanation{{Explanation: &e}}, err
	}
	return q.askAlert(ctx, opened, command.InOrStdin())
}

// askServe asks a running serve about an incident: what it decides by, and where the key was seen, it alone knows.
func (q question) askServe(ctx context.Context, server *serveFlags) ([]api.Explanation, error) {
	if !idForm.MatchString(q.incident) {
		return nil, errID
	}
	client, err := server.dial()
	if err != nil {
		return nil, err
	}
	e, err := client.Explanation(ctx, q.incident)
	return []api.Explanation{e}, err
}

// askAlert explains every alert of a delivery.
func (q question) askAlert(ctx context.Context, opened *settings.Settings, stdin io.Reader) ([]api.Explanation, error) {
	name, err := q.sourceIn(opened.Config)
	if err != nil {
		return nil, err
	}
	body, err := readDelivery(q.alert, stdin, int64(opened.Config.Limits.Body))
	if err != nil {
		return nil, err
	}
	parsed, err := opened.Receiver()[name].Parse(http.Header{}, body)
	if err != nil {
		return nil, fmt.Errorf("reading the delivery: %w", err)
	}
	var all []api.Explanation
	for _, content := range parsed.Found {
		all = append(all, explainContent(ctx, opened, name, content))
	}
	for _, bad := range parsed.Bad {
		all = append(all, api.Explanation{Problem: "it would become a dead letter: " + bad.Reason})
	}
	if len(all) == 0 {
		return nil, errors.New("the delivery holds no alert")
	}
	return all, nil
}

func explainContent(ctx context.Context, opened *settings.Settings, source string, c leak.Content) api.Explanation {
	e, err := opened.Engine().ExplainAlert(ctx, source, c)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return api.Explanation{Problem: "unknown: " + err.Error() + "; it would be looked up again for a day, and nothing done"}
	case err != nil:
		return api.Explanation{Problem: "nobody can tell now, and it would be tried again: " + err.Error()}
	}
	return api.Explanation{Explanation: &e}
}

// sourceIn is the source whose delivery is explained.
func (q question) sourceIn(c *config.Config) (string, error) {
	if q.source == "" && len(c.Sources) == 1 {
		return c.Sources[0].Name, nil
	}
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
	}
	if slices.Contains(names, q.source) {
		return q.source, nil
	}
	return "", errors.New("--source " + decode.OneOf(names, q.source))
}

func readDelivery(file string, stdin io.Reader, most int64) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the delivery: %s", decode.Reason(err))
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading the delivery: %s", decode.Reason(err))
	}
	if int64(len(body)) > most {
		return nil, errors.New("the delivery is larger than limits.body")
	}
	return body, nil
}
