package dispositions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
	"stanch/receiver/queue/soak"
	"stanch/receiver/seal"
)

const tokenType = "ibm_cloud_iam_key"

// world is what survives a crash: the store, the keys, the cloud. Engines come and go.
type world struct {
	t         *testing.T
	store     queue.Store
	cloud     *cloud
	recipient *seal.Recipient
	ids       *seal.Identities
	policy    policy.Config
	fuse      admit.FuseLimit
	accounts  []string
	pattern   *regexp.Regexp
	others    []dispositions.Configured // issuers besides the first
	registry  *prometheus.Registry      // of the engine that was started last
	log       bytes.Buffer
	logger    *slog.Logger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: memory.New(), cloud: newCloud()}
	w.logger = slog.New(slog.NewJSONHandler(&w.log, nil))
	var err error
	if w.recipient, err = seal.LoadRecipient(dir); err != nil {
		t.Fatal(err)
	}
	if w.ids, err = seal.LoadIdentities(dir); err != nil {
		t.Fatal(err)
	}
	return w
}

// inFakeTime runs a test of a world in a bubble where waiting costs nothing.
func inFakeTime(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t)) })
}

func (w *world) ledger() *ledger.Ledger { return ledger.New(w.store) }

func (w *world) sightings() *ledger.Sightings {
	return ledger.NewSightings(w.store, w.recipient, w.ids)
}

// engine starts an engine on a store, which is the world's or one that fails; stop waits for its end.
func (w *world) engine(store queue.Store, issuer dispositions.Issuer) (stop func()) {
	w.t.Helper()
	_, stop = w.start(store, issuer)
	return stop
}

func (w *world) start(store queue.Store, issuer dispositions.Issuer) (e *dispositions.Engine, stop func()) {
	w.t.Helper()
	chosen, faults := policy.New(w.policy)
	if len(faults) > 0 {
		w.t.Fatal(faults)
	}
	w.registry = prometheus.NewRegistry()
	e = dispositions.New(dispositions.Config{
		Store: store, Ledger: ledger.New(store), Sightings: ledger.NewSightings(store, w.recipient, w.ids), Identities: w.ids,
		Settings: dispositions.Settings{
			Issuers: append([]dispositions.Configured{{
				Name: "ibm", Issuer: issuer, TokenTypes: []string{tokenType}, Pattern: w.pattern, Accounts: w.accounts,
			}}, w.others...),
			Policy: chosen, Fuse: w.fuse,
		},
		Workers:  4,
		Requests: w.store.(queue.Requests),
		Log:      w.logger, Registerer: w.registry,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := e.Run(ctx); err != nil && !errors.Is(err, errCrashed) {
			w.t.Errorf("running the engine: %v", err)
		}
	})
	return e, func() {
		cancel()
		group.Wait()
	}
}

// work runs an engine on the world for so long.
func (w *world) work(d time.Duration) {
	w.t.Helper()
	stop := w.engine(w.store, w.cloud)
	time.Sleep(d)
	stop()
}

// report queues an alert, as the receiver does, and returns the incident's id.
func (w *world) report(value leak.Secret, url string) leak.Fingerprint {
	w.t.Helper()
	return w.reportType(value, url, tokenType)
}

func (w *world) reportType(value leak.Secret, url, kind string) leak.Fingerprint {
	w.t.Helper()
	a, err := w.recipient.Seal("gh-partner", time.Now(), leak.Content{Secret: value, Type: kind, URL: url, Place: "commit"})
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Append(context.Background(), queue.Message{Subject: queue.AlertSubject(a.Source), Data: data}); err != nil {
		w.t.Fatal(err)
	}
	return a.Fingerprint
}

func (w *world) incident(id leak.Fingerprint) leak.Incident {
	w.t.Helper()
	head, err := w.ledger().Read(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return head.Incident
}

// steps returns the names of an incident's steps.
func (w *world) steps(id leak.Fingerprint) string {
	w.t.Helper()
	steps, err := w.ledger().Steps(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, s := range steps {
		names = append(names, string(s.Step))
	}
	return strings.Join(names, " ")
}

func (w *world) kept(id leak.Fingerprint) bool {
	w.t.Helper()
	_, err := w.store.Last(context.Background(), queue.RetrySubject(id))
	if err != nil && !errors.Is(err, queue.ErrNoMessage) {
		w.t.Fatal(err)
	}
	return err == nil
}

func (w *world) want(id leak.Fingerprint, state leak.State, action leak.Action, rule, steps string) {
	w.t.Helper()
	i := w.incident(id)
	if i.State != state || i.Action != action || i.Rule != rule {
		w.t.Errorf("got %s, %s by %s (%s); want %s, %s by %s", i.State, i.Action, i.Rule, i.Reason, state, action, rule)
	}
	if got := w.steps(id); got != steps {
		w.t.Errorf("got steps %q, want %q", got, steps)
	}
}

func TestEachSettingEndsAsItSays(t *testing.T) {
	const acted = "seen located decided intended proved"
	for name, test := range map[string]struct {
		key    leak.Key
		policy policy.Config
		other  []string // accounts of the issuer
		state  leak.State
		action leak.Action
		rule   string
		steps  string
		gone   bool
		dead   bool
	}{
		"disable":          {leak.Key{Setting: leak.Disable}, policy.Config{}, nil, leak.Contained, leak.Disable, "key", acted, false, true},
		"delete":           {leak.Key{Setting: leak.Delete}, policy.Config{}, nil, leak.Contained, leak.Delete, "key", acted, true, false},
		"none":             {leak.Key{Setting: leak.Nothing}, policy.Config{}, nil, leak.Left, leak.Nothing, "key_none", "seen located decided left", false, false},
		"unset":            {leak.Key{}, policy.Config{}, nil, leak.Contained, leak.Disable, "default", acted, false, true},
		"already disabled": {leak.Key{Setting: leak.Disable, Disabled: true}, policy.Config{}, nil, leak.Contained, leak.Disable, "key", "seen located decided proved", false, true},
		"disabled, delete": {leak.Key{Setting: leak.Delete, Disabled: true}, policy.Config{}, nil, leak.Contained, leak.Delete, "key", acted, true, false},
		"locked":           {leak.Key{Setting: leak.Delete, Locked: true}, policy.Config{}, nil, leak.Failed, leak.Delete, "key", "seen located decided failed", false, false},
		"locked, unlock":   {leak.Key{Setting: leak.Disable, Locked: true}, policy.Config{Unlock: true}, nil, leak.Contained, leak.Disable, "key", acted, false, true},
		"dry run":          {leak.Key{Setting: leak.Delete}, policy.Config{DryRun: true}, nil, leak.Left, leak.Nothing, "dry_run", "seen located decided left", false, false},
		"protected":        {leak.Key{Setting: leak.Delete}, policy.Config{Protect: []string{"ApiKey-1"}}, nil, leak.Left, leak.Nothing, "protect", "seen located decided left", false, false},
		"foreign":          {leak.Key{Setting: leak.Delete}, policy.Config{}, []string{"other"}, leak.Left, leak.Nothing, "accounts", "seen located decided left", false, false},
		"own":              {leak.Key{Setting: leak.Delete, Own: true}, policy.Config{}, nil, leak.Left, leak.Nothing, "own_credential", "seen located decided left", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t, w.policy, w.accounts = t, test.policy, test.other
				test.key.ID = "ApiKey-1"
				id := w.report(w.cloud.add(test.key), "https://example.com/1")
				w.work(time.Second)
				w.want(id, test.state, test.action, test.rule, test.steps)
				key, there := w.cloud.get("ApiKey-1")
				if there == test.gone || key.Disabled != test.dead {
					t.Errorf("the key: there %v, disabled %v; want gone %v, disabled %v", there, key.Disabled, test.gone, test.dead)
				}
				if i := w.incident(id); i.State == leak.Contained && i.TokensLiveUntil.Sub(i.ContainedAt) != time.Hour {
					t.Errorf("issued tokens live until %v, contained at %v", i.TokensLiveUntil, i.ContainedAt)
				}
				if got, want := w.kept(id), test.state == leak.Failed; got != want {
					t.Errorf("the sealed secret is kept: %v, want %v", got, want)
				}
				w.wantClean()
			})
		})
	}
}

// wantClean looks for the planted token in everything that the world stores and logs.
func (w *world) wantClean() {
	w.t.Helper()
	all := w.log.String()
	for _, filter := range []string{"incidents.>", "sealed.>", "sightings.>", "dead.>"} {
		for m, err := range w.store.Scan(context.Background(), filter) {
			if err != nil {
				w.t.Fatal(err)
			}
			all += m.Subject + m.ID + string(m.Data)
		}
	}
	if strings.Contains(all, "planted-") {
		w.t.Error("a token is in clear in store or log")
	}
}

func TestRepeatsChangeNothing(t *testing.T) {
	inFakeTime(t, func(w *world) {
		value := w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable})
		id := w.report(value, "https://example.com/1")
		w.work(time.Second)
		for range 10 {
			w.report(value, "https://example.com/1")
		}
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Disable, "key", "seen located decided intended proved")
		if n := w.cloud.count("disable", "ApiKey-1"); n != 1 {
			w.t.Errorf("disabled %d times, want once", n)
		}
	})
}

func TestNewSightingsAreAddedAndDecidedAgain(t *testing.T) {
	inFakeTime(t, func(w *world) {
		value := w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable})
		id := w.report(value, "https://example.com/1")
		for i := 2; i <= 5; i++ {
			w.report(value, fmt.Sprintf("https://example.com/%d", i))
		}
		w.work(time.Second)
		for i := 1; i <= 5; i++ { // every one of them is known now, the middle ones too
			w.report(value, fmt.Sprintf("https://example.com/%d", i))
		}
		w.work(time.Second)
		if i := w.incident(id); i.SightingCount != 5 || i.State != leak.Contained {
			w.t.Errorf("got %d sightings, %s; want 5, contained", i.SightingCount, i.State)
		}
		seen, err := w.sightings().Of(context.Background(), id)
		if err != nil || len(seen) != 5 {
			w.t.Errorf("got %d sightings kept, %v; want 5", len(seen), err)
		}

		w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Disabled = false })
		w.report(value, "https://example.com/6")
		w.work(time.Second)
		if k, _ := w.cloud.get("ApiKey-1"); !k.Disabled || w.cloud.count("disable", "ApiKey-1") != 2 {
			w.t.Error("a key that was enabled and leaked again was not disabled again")
		}

		w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Setting = leak.Delete })
		w.report(value, "https://example.com/7")
		w.work(time.Second)
		if _, there := w.cloud.get("ApiKey-1"); there {
			w.t.Error("a new sighting did not raise the action to delete")
		}
		w.report(value, "https://example.com/8")
		w.work(time.Second)
		if i := w.incident(id); i.State != leak.Contained || i.SightingCount != 8 {
			w.t.Errorf("a sighting of a deleted key: got %s, %d sightings", i.State, i.SightingCount)
		}
	})
}

func TestUnknownIsLookedUpAgainForADay(t *testing.T) {
	inFakeTime(t, func(w *world) {
		lookups := 0
		w.cloud.fault = func(op string, after bool) error {
			if op == "locate" && !after {
				lookups++
			}
			return nil
		}
		id := w.report(leak.NewSecret("planted-stranger"), "https://example.com/1")
		w.work(25 * time.Hour)
		w.want(id, leak.Unknown, leak.Nothing, "", "seen unknown wiped")
		if lookups != 5 {
			w.t.Errorf("looked up %d times, want 5", lookups)
		}
		if w.kept(id) {
			w.t.Error("the secret is still kept")
		}
	})
}

func TestKeptSecretsExpire(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable, Locked: true}), "https://example.com/1")
		if soak.On() {
			w.work(29 * 24 * time.Hour)
		} else { // it need not be tried all the while
			w.work(24 * time.Hour)
			time.Sleep(28 * 24 * time.Hour)
		}
		w.want(id, leak.Failed, leak.Disable, "key", "seen located decided failed")
		w.work(2 * 24 * time.Hour)
		w.want(id, leak.Failed, leak.Disable, "key", "seen located decided failed wiped")
		if w.kept(id) {
			w.t.Error("the secret is still kept")
		}
	})
}

func TestUnknownDoesNotPageForAnOutage(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id := w.report(leak.NewSecret("planted-stranger"), "https://example.com/1")
		w.work(time.Second)
		w.cloud.spoil(func(string, bool) error { return errors.New("status 503") })
		w.work(48 * time.Hour)
		w.want(id, leak.Unknown, leak.Nothing, "", "seen unknown")
		w.cloud.spoil(nil)
		w.work(10 * time.Minute)
		w.want(id, leak.Unknown, leak.Nothing, "", "seen unknown wiped")
	})
}

func TestUnknownBecomesKnown(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id := w.report(leak.NewSecret("planted-ApiKey-1"), "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Unknown, leak.Nothing, "", "seen unknown")
		w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable})
		w.work(2 * time.Minute)
		w.want(id, leak.Contained, leak.Disable, "key", "seen unknown located decided intended proved")
		if w.kept(id) {
			w.t.Error("the secret is still kept")
		}
	})
}

func TestSecretsGoToNobodyElse(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.fault = func(op string, _ bool) error {
			w.t.Errorf("the issuer was asked to %s a secret that is not its own", op)
			return nil
		}
		id := w.reportType(leak.NewSecret("planted-other"), "https://example.com/1", "other_type")
		w.work(time.Second)
		if i := w.incident(id); i.State != leak.Unknown || !strings.Contains(i.Reason, "no issuer is configured") {
			w.t.Errorf("got %s: %s", i.State, i.Reason)
		}
	})
}

// TestPatternsMatchWholeValues shows a secret of another type to the issuer only if its pattern matches all of it.
func TestPatternsMatchWholeValues(t *testing.T) {
	for pattern, want := range map[string]leak.State{
		`planted-ApiKey-\d+`:                  leak.Contained,
		`planted|planted-ApiKey-1`:            leak.Contained,
		`(?i)PLANTED-apikey-1`:                leak.Contained,
		`planted-`:                            leak.Unknown,
		`ApiKey-1`:                            leak.Unknown,
		`planted-ApiKey-1|planted-ApiKey-12$`: leak.Unknown,
	} {
		t.Run(pattern, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t, w.pattern = t, regexp.MustCompile(pattern)
				key := "ApiKey-1"
				if strings.HasSuffix(pattern, "$") {
					key = "ApiKey-123"
				}
				id := w.reportType(w.cloud.add(leak.Key{ID: key}), "https://example.com/1", "swapped_type")
				w.work(time.Second)
				if i := w.incident(id); i.State != want {
					t.Errorf("got %s, want %s", i.State, want)
				}
			})
		})
	}
}

func TestFailuresArePagedOnceAndRetried(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(c *cloud)
		mend  func(c *cloud)
		text  string
	}{
		"issuer down": {
			func(c *cloud) { c.spoil(func(string, bool) error { return errors.New("status 503") }) },
			func(c *cloud) { c.spoil(nil) }, "status 503",
		},
		"credential dead": {
			func(c *cloud) { c.spoil(func(string, bool) error { return leak.ErrCredential }) },
			func(c *cloud) { c.spoil(nil) }, "our own credential",
		},
		"locked": {
			func(c *cloud) { c.set("ApiKey-1", func(k *leak.Key) { k.Locked = true }) },
			func(c *cloud) { c.set("ApiKey-1", func(k *leak.Key) { k.Locked = false }) }, "locked",
		},
		"lying success": {
			func(c *cloud) { c.liar(true) },
			func(c *cloud) { c.liar(false) }, "it still works when read back",
		},
		"read back fails": {
			func(c *cloud) {
				c.spoil(func(op string, _ bool) error {
					if op == "read" {
						return errors.New("status 502")
					}
					return nil
				})
			},
			func(c *cloud) { c.spoil(nil) }, "reading the key back",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
				test.spoil(w.cloud)
				stop := w.engine(w.store, w.cloud)
				time.Sleep(24 * time.Hour)
				if i := w.incident(id); i.State != leak.Failed || !strings.Contains(i.Failure, test.text) {
					t.Errorf("got %s: %s", i.State, i.Failure)
				}
				if n := strings.Count(w.steps(id), "failed"); n != 1 {
					t.Errorf("failed %d times in the log, want once: %s", n, w.steps(id))
				}
				synctest.Wait()
				test.mend(w.cloud)
				time.Sleep(10 * time.Minute)
				stop()
				if i := w.incident(id); i.State != leak.Contained || i.Failure != "" || i.Rule != "key" {
					t.Errorf("after the repair: got %s by %q: %s", i.State, i.Rule, i.Failure)
				}
				if key, _ := w.cloud.get("ApiKey-1"); !key.Disabled {
					t.Error("the key is alive")
				}
				if w.kept(id) {
					t.Error("the secret is still kept")
				}
				w.wantClean()
			})
		})
	}
}

func TestDoneAlthoughTheAnswerWasAnError(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.fault = func(op string, after bool) error {
			if op == "delete" && after {
				return errors.New("status 500")
			}
			return nil
		}
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Delete}), "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Delete, "key", "seen located decided intended proved")
		if n := w.cloud.count("delete", "ApiKey-1"); n != 1 {
			w.t.Errorf("deleted %d times, want once", n)
		}
	})
}

func TestFuse(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.fuse = admit.FuseLimit{Max: 2, Per: 10 * time.Minute}
		var ids []leak.Fingerprint
		report := func(n int, setting leak.Action, account string) {
			for range n {
				key := leak.Key{ID: fmt.Sprintf("ApiKey-%d", len(ids)), Setting: setting, Account: account}
				ids = append(ids, w.report(w.cloud.add(key), "https://example.com/1"))
				w.work(time.Second) // a restart each time: the fuse must not forget
			}
		}
		report(6, leak.Delete, "acme")
		report(3, leak.Disable, "other")
		var got []string
		for _, id := range ids {
			i := w.incident(id)
			got = append(got, string(i.State)+" "+string(i.Action))
		}
		want := "contained delete,contained delete,contained disable,contained disable,held disable,held disable," +
			"contained disable,contained disable,held disable"
		if s := strings.Join(got, ","); s != want {
			w.t.Errorf("got  %s\nwant %s", s, want)
		}
		if !w.kept(ids[4]) {
			w.t.Error("the secret of a held incident is not kept")
		}
		w.cloud.set("ApiKey-5", func(k *leak.Key) { k.Disabled = true })
		w.work(10 * time.Minute)
		if i := w.incident(ids[5]); i.State != leak.Contained || i.Rule != "fuse" || w.kept(ids[5]) {
			w.t.Errorf("held, and disabled by somebody: got %s by %s, kept %v", i.State, i.Rule, w.kept(ids[5]))
		}
		time.Sleep(time.Hour)
		report(1, leak.Delete, "acme")
		if i := w.incident(ids[len(ids)-1]); i.State != leak.Contained || i.Action != leak.Delete {
			w.t.Errorf("after the fuse's time: got %s, %s", i.State, i.Action)
		}
		if i := w.incident(ids[4]); i.State != leak.Held {
			w.t.Errorf("a held incident is %s after a while", i.State)
		}
	})
}

func TestDamagedAlertsAreBuried(t *testing.T) {
	inFakeTime(t, func(w *world) {
		ctx := context.Background()
		for _, data := range []string{"not json", `{"v":1,"source":"gh-partner","fingerprint":"00","sealed":"AAAA"}`} {
			if err := w.store.Append(ctx, queue.Message{Subject: queue.AlertSubject("gh-partner"), Data: []byte(data)}); err != nil {
				w.t.Fatal(err)
			}
		}
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1"}), "https://example.com/1")
		w.work(time.Minute)
		if i := w.incident(id); i.State != leak.Contained {
			w.t.Errorf("the alert behind damaged ones: got %s", i.State)
		}
		for stream, want := range map[string]uint64{queue.Dead: 2, queue.Alerts: 0} {
			if stats, err := w.store.Stats(ctx, stream); err != nil || stats.Messages != want {
				w.t.Errorf("%s holds %d, %v; want %d", stream, stats.Messages, err, want)
			}
		}
	})
}

func TestProtectedWhileAnActionIsAnnounced(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.fault = func(op string, _ bool) error {
			if op == "disable" {
				return errors.New("status 503")
			}
			return nil
		}
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
		w.work(time.Minute)
		w.cloud.spoil(nil)
		w.policy.Protect = []string{"ApiKey-1"}
		w.work(10 * time.Minute)
		if i := w.incident(id); i.State != leak.Left || i.Rule != "protect" {
			w.t.Errorf("got %s by %s", i.State, i.Rule)
		}
		if key, _ := w.cloud.get("ApiKey-1"); key.Disabled {
			w.t.Error("a protected key was disabled")
		}
	})
}

// TestLongWords: what an issuer says at length is cut, and keeps nobody from acting.
func TestLongWords(t *testing.T) {
	inFakeTime(t, func(w *world) {
		long := strings.Repeat("é", 100_000)
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Name: long, Owner: long, Setting: leak.Disable}), "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Disable, "key", "seen located decided intended proved")
		if n := len(w.incident(id).Key.Name); n > 2000 || n < 500 {
			w.t.Errorf("a name of %d bytes is kept", n)
		}
	})
}
