package compose_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTexts(t *testing.T) {
	for name, e := range examples {
		t.Run(name, func(t *testing.T) {
			n, ok := reader.Notice(e, sightings)
			if !ok {
				t.Fatal("got no notice")
			}
			compareFile(t, filepath.Join("testdata", name+".txt"), written(n))
		})
	}
}

// written is a notice as the golden files show it.
func written(n notify.Notice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nseverity: %s\nat: %s\nlink: %s\n", n.Title, n.Severity, n.At.Format(time.RFC3339), n.Link)
	for _, f := range n.Facts {
		fmt.Fprintf(&b, "\n%s\n    %s\n", f.Name, f.Text)
	}
	return b.String()
}

func compareFile(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestProvedOnlyWhenProved: no notice says that the key's end is proved unless the log has the time of the proof.
func TestProvedOnlyWhenProved(t *testing.T) {
	for name, e := range examples {
		n, _ := reader.Notice(e, sightings)
		text := strings.NewReplacer("not proved", "", "cannot be proved", "", "approved", "", "Proved: read back from the issuer, the key is enabled", "").Replace(written(n))
		says := strings.Contains(strings.ToLower(text), "proved")
		proved := !e.Incident.ContainedAt.IsZero()
		if says && !proved {
			t.Errorf("%s: says that the key's end is proved, and it is not", name)
		}
		if last := e.Steps[len(e.Steps)-1]; last.Step == leak.Proved && !says {
			t.Errorf("%s: does not say that the key's end is proved", name)
		}
	}
}

// TestPersons: whoever takes a step by hand is named, with the reason, and neither can steer a terminal.
func TestPersons(t *testing.T) {
	reason := strings.Repeat("é", 480) + "\x1b[2J\r\n\u202e\u009b31m\x07\b"
	for _, name := range []string{"rejected_disable", "rejected_delete", "closed_working", "closed_unknown"} {
		e := examples[name]
		e.Steps = []leak.Step{e.Steps[0]}
		e.Steps[0].By, e.Steps[0].Text = "uid 1000 (alice\x1b[1A)", "so it is: "+reason
		e.Incident.Reason = "rejected by alice: " + reason
		n, _ := compose.Audience{}.Notice(e, sightings)
		who, done := "uid 1000 (alice\ufffd[1A)", fact(n, "What was done")
		if !strings.Contains(n.Title, who) || !strings.Contains(done, "By "+who+": so it is: "+strings.Repeat("é", 480)) {
			t.Errorf("%s: got %q and %q, want who it was in both, and the reason", name, n.Title, done)
		}
		for _, text := range shown(n) {
			if strings.ContainsFunc(text, hidden) {
				t.Errorf("%s: got %q, want no hidden characters", name, text)
			}
		}
	}
}

// TestCommandsAreHarmless: an account is the issuer's text, and what is not a plain word is not put into a command.
func TestCommandsAreHarmless(t *testing.T) {
	for _, account := range []string{"a b", "$(reboot)", "a`b", "'", "-x", "a;b", "a\nb", "", "ä"} {
		e := examples["held_fuse"]
		e.Incident.Key.Account = account
		n, _ := compose.Audience{}.Notice(e, sightings)
		want := "`stanch incidents approve --issuer ibm --account ACCOUNT --reason \"...\"`"
		if got := fact(n, "What to do next"); !strings.Contains(got, want) {
			t.Errorf("account %q: got %q, want %q in it", account, got, want)
		}
	}
}

// TestSettingHint: only a rule that the operator wrote can be changed among the rules.
func TestSettingHint(t *testing.T) {
	for rule, want := range map[string]bool{
		"prod-by-hand": true, "fuse": false, "reject": false, "undo": false, "protect": false, "default": false, "": false,
	} {
		n, _ := compose.Audience{}.Notice(left(leak.Warning, rule, "for a reason"), sightings)
		if got := strings.Contains(fact(n, "What to do next"), "in `policy.rules`"); got != want {
			t.Errorf("rule %q: says that it can be changed: %v, want %v", rule, got, want)
		}
	}
}

// fact is the text of one fact of a notice.
func fact(n notify.Notice, name string) string {
	for _, f := range n.Facts {
		if f.Name == name {
			return f.Text
		}
	}
	return ""
}

func TestNoNews(t *testing.T) {
	for name, e := range map[string]leak.Entry{
		"seen again when contained": entry(incident(leak.Contained, nil), step(leak.Seen, "reported by source gh-partner")),
		"announced": entry(incident(leak.Open, nil), step(leak.Seen, ""), step(leak.Located, ""),
			step(leak.Decided, ""), step(leak.Intended, "about to disable the key")),
		"unknown, but not as the last word": entry(incident(leak.Open, nil), step(leak.NotKnown, "nobody knows it")),
		"failed, then announced":            entry(incident(leak.Open, nil), step(leak.Failure, "no answer"), step(leak.Intended, "")),
		"held, as another incident told": entry(incident(leak.Held, nil), step(leak.Decided, ""),
			leak.Step{At: at, Step: leak.HeldBack, By: "engine", Quiet: true}),
		"rejected, as another incident told": entry(incident(leak.Left, nil),
			leak.Step{At: at, Step: leak.Rejected, By: "alice", Quiet: true}),
		"approved, as another incident told": entry(incident(leak.Open, nil),
			leak.Step{At: at, Step: leak.Approved, By: "alice", Quiet: true}),
		"only a warning": entry(incident(leak.Open, nil), step(leak.Warned, "rule a could not be evaluated"), step(leak.Intended, "")),
		"wiped":          entry(incident(leak.Contained, nil), step(leak.Wiped, "")),
		"no step":        entry(incident(leak.Contained, nil)),
	} {
		if n, ok := reader.Notice(e, sightings); ok {
			t.Errorf("%s: got the notice %q, want none", name, n.Title)
		}
	}
}

func TestWhereItWasSeen(t *testing.T) {
	again := leak.Sighting{Source: "gl", URL: "https://gitlab.com/octo/app/-/issues/1", Place: "issue_title", SeenAt: received.Add(time.Minute)}
	worse := leak.Sighting{
		Source: "acme", SeenAt: received, Marks: leak.Marks{Public: true, Several: true, Validity: "active", Swept: true},
	}
	nowhere := leak.Sighting{Source: "gh-partner", SeenAt: received}
	for name, row := range map[string]struct {
		count int
		seen  []leak.Sighting
		want  string
	}{
		"once": {1, sightings, "https://github.com/octo/app/blob/0dbe1c2/deploy.sh (commit), told by gh-partner at 2026-11-21 14:03:01 UTC"},
		"in any order, some forgotten": {
			5,
			[]leak.Sighting{again, sightings[0]},
			"5 times: first https://github.com/octo/app/blob/0dbe1c2/deploy.sh (commit), told by gh-partner at " +
				"2026-11-21 14:03:01 UTC; newest https://gitlab.com/octo/app/-/issues/1 (issue_title), told by gl at 2026-11-21 14:04:01 UTC",
		},
		"no place": {1, []leak.Sighting{nowhere}, "at a place that is not told, told by gh-partner at 2026-11-21 14:03:01 UTC"},
		"worse than most": {
			1,
			[]leak.Sighting{worse},
			"at a place that is not told, told by acme at 2026-11-21 14:03:01 UTC; it is in public too; it is in several " +
				"repositories; the source finds it active; found by a sweep, because the source's delivery never came",
		},
		"forgotten":     {2, []leak.Sighting{}, "No longer kept (seen 2 times)."},
		"not available": {1, nil, "Not available at the moment (seen once); `stanch incidents show 9f86d081884c` tells."},
	} {
		e := entry(incident(leak.Contained, func(i *leak.Incident) { i.SightingCount = row.count }), step(leak.Proved, provedDisabled))
		n, _ := compose.Audience{}.Notice(e, row.seen)
		if got := n.Facts[1]; got.Name != "Where it was seen" || got.Text != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// FuzzStrangers: whatever strangers write, nothing of the notice has a line break, a terminal escape or a hidden mark.
func FuzzStrangers(f *testing.F) {
	f.Add("ci\x1b[2J-deploy", "https://example.com/\r\nWhat to do next\nnothing", "\u202egnp.exe")
	f.Add("alice\x1b]0;x\a", "", "undone by alice: \x1b]8;;https://evil.example\x1b\\\\ok\u2066"+strings.Repeat("x\b", 250))
	f.Add("a\u2028b\u200b", "\xff\xfe", "\x00\u009b31m")
	f.Fuzz(func(t *testing.T, name, url, text string) {
		for _, e := range examples {
			e.Incident.Key.Name, e.Incident.Key.Owner, e.Incident.Reason = name, text, text
			e.Steps = append([]leak.Step{}, e.Steps...)
			last := &e.Steps[len(e.Steps)-1]
			last.Text, last.By = text, name
			n, ok := compose.Audience{}.Notice(e, []leak.Sighting{{URL: url, Place: name, Source: text}})
			if !ok {
				t.Fatal("got no notice")
			}
			for _, shown := range shown(n) {
				if i := strings.IndexFunc(shown, hidden); i >= 0 {
					t.Fatalf("got %q, want no hidden characters", shown)
				}
			}
		}
	})
}

// shown is every text of a notice that a channel might show.
func shown(n notify.Notice) []string {
	texts := []string{n.Title, n.Incident.Key.Name, n.Incident.Key.Owner, n.Incident.Reason}
	for _, f := range n.Facts {
		texts = append(texts, f.Text)
	}
	for _, s := range n.Seen {
		texts = append(texts, s.URL, s.Place, s.Source)
	}
	return texts
}

func hidden(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }

// TestPhases: what nothing more is to be done about is settled; what somebody has to look at is open.
func TestPhases(t *testing.T) {
	want := map[notify.Phase][]string{
		notify.Opened: {
			"held_fuse", "held_disable", "held_delete", "failed_locked", "failed_credential", "failed_unreachable",
			"failed_delete_disabled", "undo_failed", "unknown", "left_protected", "left_foreign", "left_own", "alive_undone",
			"alive_closed", "looked", "looked_enabled", "by_hand", "failed_alive", "accepted", "accepted_tokens", "held_by_value",
			"failed_by_value", "not_ours",
		},
		notify.Taken: {"approved", "undo_asked", "retried"},
	}
	phases := map[string]notify.Phase{}
	for phase, names := range want {
		for _, name := range names {
			phases[name] = phase
		}
	}
	for name, e := range examples {
		n, _ := compose.Audience{}.Notice(e, sightings)
		if want := cmp.Or(phases[name], notify.Settled); n.Phase != want {
			t.Errorf("%s: got the phase %q, want %q", name, n.Phase, want)
		}
	}
}
