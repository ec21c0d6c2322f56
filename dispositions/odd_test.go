package dispositions_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmfake"
	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestOddStates is the specification of what becomes of a leak, by the state of the key or its issuer and by the action that
// the key is set to: testdata/odd.txt, a line a case, with a line more for each further notice. Each case is lived through
// by the real engine, log and IBM adapter against a fake IAM over HTTP, in fake time.
func TestOddStates(t *testing.T) {
	var table bytes.Buffer
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "STATE OF THE KEY OR ITS ISSUER\tACTION\tOUTCOME\tSEVERITY\tRESULT METRIC\tEFFECT CALLS\tNOTICES")
	for _, row := range oddRows {
		for _, action := range row.actions {
			t.Run(row.state+"/"+action, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { _, _ = out.Write([]byte(row.live(t, action))) })
			})
		}
	}
	_ = out.Flush()
	golden := filepath.Join("testdata", "odd.txt")
	if *update {
		if err := os.WriteFile(golden, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := table.String(); got != string(want) && !t.Failed() {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	t.Logf("\n%s", table.String())
}

// odd is one case that is lived through.
type odd struct {
	*world
	*iam
	keyID    string
	secret   leak.Secret
	engine   *dispositions.Engine
	setting  string // of the key
	guid     string // of a service credential; empty: there is none
	incident leak.Fingerprint
	other    *iam // of a second issuer; nil: there is none
}

// oddRow is one state of a key or its issuer.
type oddRow struct {
	state   string
	actions []string // that the key is set to: none, disable, delete
	key     ibmfake.Key
	fake    ibmfake.Switches
	// withoutController leaves the resource controller out of the configuration.
	withoutController bool
	before            func(o *odd) // what is so before the leak is reported
	after             func(o *odd) // what happens from a minute after; nil: nothing
	says              []string     // each is in what people are told at last, or in the steps
}

func (row oddRow) live(t *testing.T, action string) string {
	w := newWorld(t)
	o := &odd{world: w, iam: w.startIAM(row.fake, !row.withoutController), setting: action}
	row.key.Name, row.key.Setting = or(row.key.Name, "leaked"), action
	o.keyID, o.secret = o.AddKey(row.key)
	if row.before != nil {
		row.before(o)
	}
	e, stop := w.start(w.store, o.issuer)
	o.engine = e
	if o.incident == "" {
		o.leak("1")
	}
	time.Sleep(time.Minute)
	if row.after != nil {
		row.after(o)
	}
	stop()
	o.stop()
	if o.other != nil {
		o.other.stop()
	}
	o.check(row.says)
	return o.line(row.state, action)
}

// leak reports the key as seen at a place.
func (o *odd) leak(place string) { o.incident = o.report(o.secret, "https://example.com/"+place) }

// forAnHour lets an hour pass, then ends every fault and waits until the key has been looked at again.
func forAnHour(o *odd) { o.faultsFor(time.Hour) }

func (o *odd) faultsFor(d time.Duration) {
	time.Sleep(d)
	o.ClearFaults()
	time.Sleep(10 * time.Minute)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// told are the notices so far, oldest first.
func (o *odd) told() []notify.Notice {
	var notices []notify.Notice
	for e, err := range o.ledger().Entries(context.Background(), o.incident) {
		if err != nil {
			o.t.Fatal(err)
		}
		if n, ok := (compose.Audience{}).Notice(e, nil); ok {
			notices = append(notices, n)
		}
	}
	return notices
}

// check looks at what holds in every case, and at what people are told.
func (o *odd) check(says []string) {
	o.t.Helper()
	for address := range o.dialled {
		if address != iamAddress {
			o.t.Errorf("somebody dialled %s", address)
		}
	}
	told := o.told()
	text := ""
	if len(told) > 0 {
		last := told[len(told)-1]
		text = last.Title
		for _, f := range last.Facts {
			text += "\n" + f.Name + ": " + f.Text
		}
	}
	steps, err := o.ledger().Steps(context.Background(), o.incident)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, s := range steps {
		text += "\n" + string(s.Step) + ": " + s.Text
	}
	for _, want := range says {
		if !strings.Contains(text, want) {
			o.t.Errorf("nobody says %q:\n%s", want, text)
		}
	}
	if strings.Contains(o.log.String()+text, o.secret.Reveal()) || strings.Contains(o.log.String()+text, o.own.Reveal()) {
		o.t.Error("a secret is in the log or in a notice")
	}
}

var clock = regexp.MustCompile(`\d\d:\d\d:\d\d UTC`)

// made are ids that are made up anew each time.
var made = regexp.MustCompile(`\b[0-9a-f]{12}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// line is the case as the specification shows it.
func (o *odd) line(state, action string) string {
	i := o.world.incident(o.incident)
	told := o.told()
	first := "-"
	if len(told) > 0 {
		first = o.headline(told[0])
	}
	line := strings.Join([]string{
		state, action, string(i.State), string(i.Severity), o.results(), o.effects(), first,
	}, "\t") + "\n"
	for _, n := range told[min(1, len(told)):] {
		line += "\t\t\t\t\t\t" + o.headline(n) + "\n"
	}
	return line
}

// headline is a notice as the specification shows it: about when it was told, how urgent it is, and its title.
func (o *odd) headline(n notify.Notice) string {
	title := made.ReplaceAllString(clock.ReplaceAllString(n.Title, "at TIME"), "ID")
	return fmt.Sprintf("%s, %s: %s", about(n.At.Sub(o.world.incident(o.incident).ReceivedAt)), n.Severity, title)
}

// about is a duration, as exact as it is the same each time.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "at once"
	case d < 20*time.Minute:
		return "in minutes"
	case d < 3*time.Hour:
		return "in hours"
	}
	return "in a day"
}

// results are the series of dispositions that were counted.
func (o *odd) results() string {
	families, err := o.registry.Gather()
	if err != nil {
		o.t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() != "stanch_dispositions_total" || m.GetCounter().GetValue() == 0 {
				continue
			}
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			all = append(all, fmt.Sprintf("%s %s=%.0f", labels["action"], labels["result"], m.GetCounter().GetValue()))
		}
	}
	slices.Sort(all)
	return or(strings.Join(all, ", "), "-")
}

// effects are the calls that asked for an effect, with what was answered; repeated ones once, with how often.
func (o *odd) effects() string {
	var all []string
	counts := map[string]int{}
	for _, e := range o.Journal() {
		call := string(e.Op)
		if e.Status != 204 {
			call += fmt.Sprintf(" (%d)", e.Status)
		}
		if counts[call]++; counts[call] == 1 {
			all = append(all, call)
		}
	}
	for n, call := range all {
		if counts[call] > 1 {
			all[n] += " repeated"
		}
	}
	return or(strings.Join(all, ", "), "none")
}
