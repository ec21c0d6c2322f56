package notify_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"stanch/notify"
	"stanch/receiver/leak"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	id          = leak.Fingerprint("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
	externalURL = "https://stanch.example.com/"
)

// received is when the alert of every example was received, and at when its step was taken.
var (
	received = time.Date(2026, 11, 21, 14, 3, 1, 0, time.UTC)
	at       = time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)
)

// sightings are one, as most keys have.
var sightings = []leak.Sighting{{
	Source: "gh-partner", Type: "ibm_cloud_iam_key", Place: "commit", SeenAt: received,
	URL: "https://github.com/octo/app/blob/0dbe1c2/deploy.sh",
}}

// incident is an example that has come to a state; change says how it differs from the others.
func incident(state leak.State, change func(*leak.Incident)) leak.Incident {
	i := leak.Incident{
		ID: id, State: state, Severity: leak.Warning, Issuer: "ibm", Source: "gh-partner",
		Key: leak.Key{
			ID: "ApiKey-1c2d3e4f-0000-4000-8000-123456789abc", Name: "ci-deploy", Kind: "service_id",
			Owner: "iam-ServiceId-77", Account: "acc-1", TokenLife: time.Hour,
			CreatedAt:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			LastUsedAt: time.Date(2026, 11, 21, 13, 58, 0, 0, time.UTC),
		},
		Action: leak.Disable, Rule: "key", Reason: "the key's own setting for a leak is disable",
		First: "s1", Last: "s1", SightingCount: 1, ReceivedAt: received,
	}
	if state == leak.Contained {
		i.Key.Disabled = true
		i.ContainedAt, i.TokensLiveUntil = at, at.Add(time.Hour)
	}
	if change != nil {
		change(&i)
	}
	return i
}

func entry(i leak.Incident, steps ...leak.Step) leak.Entry {
	return leak.Entry{V: 1, ID: "entry-1", Steps: steps, Incident: i}
}

func step(name leak.StepName, text string) leak.Step {
	return leak.Step{At: at, Step: name, Text: text, By: "engine"}
}

func byAlice(name leak.StepName, text string) leak.Step {
	return leak.Step{At: at, Step: name, Text: text, By: "alice"}
}

// closed is the entry of an incident that a person ended.
func closed(reason string, change func(*leak.Incident)) leak.Entry {
	i := incident(leak.Closed, change)
	i.Severity = leak.Info
	return entry(i, byAlice(leak.Ended, "closed: "+reason))
}

// left is the entry of a key that a built-in rule leaves alone.
func left(severity leak.Severity, rule, reason string) leak.Entry {
	i := incident(leak.Left, func(i *leak.Incident) {
		i.Severity, i.Action, i.Rule, i.Reason = severity, leak.Nothing, rule, reason
	})
	return entry(i, step(leak.Decided, "nothing: "+reason), step(leak.Spared, "nothing was done: "+reason))
}

// failed is the entry of a key on which an action did not succeed.
func failed(text string, change func(*leak.Incident)) leak.Entry {
	i := incident(leak.Failed, func(i *leak.Incident) {
		i.Severity, i.Reason = leak.Critical, text
		if change != nil {
			change(i)
		}
	})
	return entry(i, step(leak.Failure, text))
}

const (
	provedDisabled = "proved: read back from the issuer, the key is disabled"
	provedGone     = "proved: asked again, the issuer has no such key any more"
)

func deleted(i *leak.Incident) {
	i.Key.Disabled = false
	i.Action, i.Reason = leak.Delete, "the key's own setting for a leak is delete"
}

func unlocated(i *leak.Incident) {
	i.Key, i.Issuer, i.Action, i.Rule = leak.Key{}, "", "", ""
}

// examples are the entries whose notices are in testdata, by the name of the file.
var examples = map[string]leak.Entry{
	"disabled": entry(incident(leak.Contained, nil), step(leak.Proved, provedDisabled)),
	"deleted":  entry(incident(leak.Contained, deleted), step(leak.Proved, provedGone)),
	"disabled_before": entry(incident(leak.Contained, nil),
		step(leak.Located, "ibm knows the key"), step(leak.Decided, "disable"),
		step(leak.Proved, "the key was disabled already when it was looked up; nothing had to be done")),
	"gone_before": entry(incident(leak.Contained, func(i *leak.Incident) { i.Key.Disabled = false }),
		step(leak.Proved, "the key is gone: the issuer knows neither its value nor its id")),
	"contained_after_failure": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.ContainedAt = received.Add(3*time.Hour + 12*time.Minute)
		i.TokensLiveUntil = i.ContainedAt.Add(time.Hour)
	}), step(leak.Failure, "asking ibm to disable the key: 503 Service Unavailable"), step(leak.Proved, provedDisabled)),
	"contained_by_next_rule": entry(incident(leak.Contained, nil),
		step(leak.Warned, "rule old-keys could not be evaluated: key.last_used_at is not known"),
		step(leak.Decided, "disable"), step(leak.Proved, "the key was disabled already when it was looked up; nothing had to be done")),
	"contained_without_tokens": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Key.TokenLife, i.Key.LastUsedAt = 0, time.Time{}
		i.TokensLiveUntil = i.ContainedAt
	}), step(leak.Proved, provedDisabled)),

	"left_setting_none": left(leak.Warning, "key_none", "the key's own setting for a leak is none, for which policy.key_none says nothing"),
	"left_default":      left(leak.Warning, "default", "the key has no setting for a leak, and policy.default says nothing"),
	"left_protected":    left(leak.Critical, "protect", "the key is listed in policy.protect"),
	"left_foreign":      left(leak.Critical, "accounts", "the key belongs to an account that is not listed for its issuer"),
	"left_own":          left(leak.Critical, "own_credential", "the key is one that stanch itself runs on"),
	"left_dry_run":      left(leak.Warning, "dry_run", "dry run: without it the answer were disable, because the key's own setting for a leak is disable"),
	"left_own_rule":     left(leak.Warning, "prod-by-hand", "the rule says nothing"),
	"left_disabled": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Key.Disabled, i.Action, i.Rule, i.Reason = true, leak.Nothing, "key_none", "the key's own setting for a leak is none"
	}), step(leak.Spared, "nothing was done: the key's own setting for a leak is none")),

	"held_fuse": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Severity, i.Rule = leak.Critical, "fuse"
		i.Reason = "more than 50 destructive actions within 10m0s in this account; without the fuse: disable, because the key's own setting for a leak is disable"
	}), step(leak.HeldBack, "held: to disable the key needs approval")),
	"held_disable": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Rule, i.Reason = "prod-by-hand", `the rule prod-by-hand says disable: key.name.startsWith("ci-")`
	}), step(leak.HeldBack, "held: to disable the key needs approval")),
	"held_delete": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Action, i.Rule, i.Reason = leak.Delete, "delete-ci", `the rule delete-ci says delete: key.kind == "service_id"`
		i.Key.Disabled, i.ContainedAt, i.TokensLiveUntil = true, at, at.Add(time.Hour)
	}), step(leak.Proved, provedDisabled), step(leak.HeldBack, "held: to delete the key needs approval")),

	"rejected_disable": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Severity, i.Action, i.Rule, i.Reason = leak.Info, leak.Nothing, "reject", "rejected by alice: it is a drill key"
	}), byAlice(leak.Rejected, "rejected: it is a drill key")),
	"rejected_delete": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Rule, i.Reason = "reject", "rejected by alice: the build still needs its history"
	}), byAlice(leak.Rejected, "rejected: the build still needs its history")),
	"undone": entry(incident(leak.Closed, func(i *leak.Incident) {
		i.Rule, i.Reason = "undo", "undone by alice: production stands still"
	}), step(leak.Undone, "read back from the issuer, the key is enabled")),
	"undo_failed": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Severity, i.Rule, i.Reason = leak.Critical, "undo", "undone by alice: production stands still"
		i.Failure = leak.ErrLocked.Error()
	}), step(leak.Failure, leak.ErrLocked.Error())),
	"undo_unproved": failed("reading the key back from ibm: connection refused", func(i *leak.Incident) {
		i.Rule, i.Intended, i.Key.Disabled = "undo", leak.Enable, true
	}),
	"closed_working": closed("it is a sample from our handbook", nil),
	"closed_disabled": closed("rotated", func(i *leak.Incident) {
		i.Key.Disabled, i.ContainedAt = true, at
	}),
	"closed_gone":    closed("rotated", func(i *leak.Incident) { i.ContainedAt = at }),
	"closed_unknown": closed("it is of another company", unlocated),
	"alive": entry(incident(leak.Closed, func(i *leak.Incident) {
		i.Severity, i.Rule, i.Reason = leak.Critical, "undo", "undone by uid 1000 (alice): production stands still"
		i.Told = true
	}), step(leak.Alive, "reported again by source gh-partner, and the key works")),

	"failed_locked": failed(leak.ErrLocked.Error()+", and policy.unlock does not allow to unlock it",
		func(i *leak.Incident) { i.Key.Locked = true }),
	"failed_credential": failed("asking ibm: "+leak.ErrCredential.Error(), unlocated),
	"failed_unreachable": failed("reading the key back from ibm: connection refused",
		func(i *leak.Incident) { i.Intended = leak.Disable }),
	"failed_delete_disabled": failed("asking ibm to delete the key: 500 Internal Server Error",
		func(i *leak.Incident) { i.Action, i.Intended, i.Key.Disabled = leak.Delete, leak.Delete, true }),

	"unknown": entry(incident(leak.Unknown, func(i *leak.Incident) {
		unlocated(i)
		i.Severity, i.Action, i.Reason = leak.Info, leak.Nothing, leak.ErrNotFound.Error()
	}), step(leak.NotKnown, leak.ErrNotFound.Error()+"; it is looked up again for a day")),
}

func TestTexts(t *testing.T) {
	for name, e := range examples {
		t.Run(name, func(t *testing.T) {
			n, ok := notify.Compose(e, sightings, externalURL)
			if !ok {
				t.Fatal("got no notice")
			}
			compare(t, filepath.Join("testdata", name+".txt"), written(n))
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

func compare(t *testing.T, golden, got string) {
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

// TestProvedOnlyWhenProved: no notice says that anything is proved unless the log has the time of the proof.
func TestProvedOnlyWhenProved(t *testing.T) {
	for name, e := range examples {
		n, _ := notify.Compose(e, sightings, externalURL)
		says := strings.Contains(strings.ReplaceAll(written(n), "not proved", ""), "proved")
		proved := !e.Incident.ContainedAt.IsZero()
		if says && !proved {
			t.Errorf("%s: says that something is proved, and nothing is", name)
		}
		if last := e.Steps[len(e.Steps)-1]; last.Step == leak.Proved && !says {
			t.Errorf("%s: does not say that the key's end is proved", name)
		}
	}
}

// TestNames: whoever takes a step by hand is named.
func TestNames(t *testing.T) {
	for name, e := range examples {
		last := e.Steps[len(e.Steps)-1]
		last.By = "uid 1000 (alice)"
		e.Steps = []leak.Step{last}
		if n, _ := notify.Compose(e, sightings, ""); e.Steps[0].Step == leak.Rejected || e.Steps[0].Step == leak.Ended {
			if got := fact(n, "What was done"); !strings.Contains(n.Title, last.By) || !strings.Contains(got, last.By+": "+last.Text) {
				t.Errorf("%s: got %q and %q, want who took the step in both", name, n.Title, got)
			}
		}
	}
}

// TestCommandsAreHarmless: an account is the issuer's text, and what is not a plain word is not put into a command.
func TestCommandsAreHarmless(t *testing.T) {
	for _, account := range []string{"a b", "$(reboot)", "a`b", "'", "-x", "a;b", "a\nb", "", "ä"} {
		e := examples["held_fuse"]
		e.Incident.Key.Account = account
		n, _ := notify.Compose(e, sightings, "")
		want := "`stanch incidents approve --issuer ibm --account ACCOUNT --reason \"...\"`"
		if got := fact(n, "What to do next"); !strings.Contains(got, want) {
			t.Errorf("account %q: got %q, want %q in it", account, got, want)
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
		"approved":       entry(incident(leak.Open, nil), byAlice(leak.Approved, "approved: go on")),
		"undo asked":     entry(incident(leak.Open, nil), byAlice(leak.UndoAsked, "undo: production stands still")),
		"retry asked":    entry(incident(leak.Failed, nil), byAlice(leak.Retried, "retried: the issuer is back")),
		"only a warning": entry(incident(leak.Open, nil), step(leak.Warned, "rule a could not be evaluated"), step(leak.Intended, "")),
		"wiped":          entry(incident(leak.Contained, nil), step(leak.Wiped, "")),
		"no step":        entry(incident(leak.Contained, nil)),
	} {
		if n, ok := notify.Compose(e, sightings, externalURL); ok {
			t.Errorf("%s: got the notice %q, want none", name, n.Title)
		}
	}
}

func TestWhereItWasSeen(t *testing.T) {
	again := leak.Sighting{Source: "gl", URL: "https://gitlab.com/octo/app/-/issues/1", Place: "issue_title", SeenAt: received.Add(time.Minute)}
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
		"no place":      {1, []leak.Sighting{nowhere}, "at a place that was not told, told by gh-partner at 2026-11-21 14:03:01 UTC"},
		"forgotten":     {2, []leak.Sighting{}, "No longer kept (seen 2 times)."},
		"not available": {1, nil, "Not available at the moment (seen once); `stanch incidents show 9f86d081884c` tells."},
	} {
		e := entry(incident(leak.Contained, func(i *leak.Incident) { i.SightingCount = row.count }), step(leak.Proved, provedDisabled))
		n, _ := notify.Compose(e, row.seen, "")
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
			n, ok := notify.Compose(e, []leak.Sighting{{URL: url, Place: name, Source: text}}, "")
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
