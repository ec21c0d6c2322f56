package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/receiver/leak"
)

// wait polls until every sample has come to its end and was told.
func (d *demonstration) wait(ctx context.Context) ([]api.Incident, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for {
		views, err := api.Dial(d.store()).Incidents(ctx, "", api.DefaultList)
		if err != nil {
			return nil, err
		}
		if len(views) == len(d.samples) && settled(views) && d.told(ctx) {
			return views, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the sample keys did not come to their ends in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func settled(views []api.Incident) bool {
	for _, v := range views {
		if v.State == leak.Open {
			return false
		}
	}
	return true
}

// told reports whether every incident's notice is out.
func (d *demonstration) told(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.private+"/metrics", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	metrics, err := io.ReadAll(response.Body)
	line := fmt.Sprintf("stanch_notices_total{notifier=\"console\",result=\"delivered\"} %d\n", len(d.samples))
	return err == nil && strings.Contains(string(metrics), line)
}

// report prints the timeline, and compares what became of each key, as the issuer has it, with its policy.
func (d *demonstration) report(views []api.Incident) error {
	d.say("\nwhat became of each key:\n")
	byKey := map[string]api.Incident{}
	for _, v := range views {
		byKey[v.Key.ID] = v
	}
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  KEY\tWHICH IS\tSTEPS AFTER RECEIPT\tSTATE\tPROVED DEAD AFTER\tAT THE ISSUER")
	var wrong []error
	for _, s := range d.samples {
		v := byKey[s.key.ID]
		now, alive := d.lookUp(s)
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(s.key.Name, "-"), s.what, stepsAfter(v), v.State,
			api.ContainedAfter(v.Incident), now)
		if v.State != s.state || v.Action != s.action || alive != s.alive {
			wrong = append(wrong, fmt.Errorf("the key that is %s ended %s by %s, want %s by %s",
				s.what, v.State, v.Action, s.state, s.action))
		}
	}
	if err := errors.Join(append(wrong, table.Flush())...); err != nil {
		return err
	}
	d.say("\nevery sample key ended as its policy says")
	return nil
}

// lookUp asks the fake IAM, not stanch.
func (d *demonstration) lookUp(s *sample) (now string, alive bool) {
	key, there := d.iam.Key(s.key.ID)
	switch {
	case !there:
		return "no such key", false
	case key.Disabled:
		return "disabled", false
	}
	return "alive", true
}
