package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/memory"
)

// book is the log and its checkpoints as somebody forged them between the store and who reads.
type book struct {
	entries, checkpoints []queue.Message
	logged               []ledger.Checkpoint
	changed              string // a setting of INCIDENTS
	lastSeq              uint64 // of INCIDENTS, when it is not that of the last entry
}

func (b *book) Scan(_ context.Context, filter string) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) {
		for _, m := range b.of(filter) {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (b *book) of(filter string) []queue.Message {
	if filter == queue.AllIncidents {
		return b.entries
	}
	return b.checkpoints
}

func (b *book) Stats(_ context.Context, stream string) (queue.Stats, error) {
	if stream == queue.Incidents {
		return queue.Stats{Last: max(b.lastSeq, last(b.entries)), Changed: b.changed}, nil
	}
	return queue.Stats{Last: last(b.checkpoints)}, nil
}

func last(messages []queue.Message) uint64 {
	if len(messages) == 0 {
		return 0
	}
	return messages[len(messages)-1].Seq
}

// renumber gives messages the numbers that they would have if their log had been written like that.
func renumber(messages []queue.Message) {
	for i := range messages {
		messages[i].Seq = uint64(i + 1)
	}
}

// open is a log of four incidents that take turns, with 20 entries and the checkpoints of entries 8, 16 and 20, all of
// which were logged too.
func open(t *testing.T) *book {
	t.Helper()
	store := memory.New()
	l := ledger.New(store)
	heads := make([]ledger.Head, 4)
	b := &book{}
	for n := range 20 {
		i := incident(fmt.Sprint("i", n%4), leak.Open)
		heads[n%4] = appended(t, l, heads[n%4], i, step(leak.Seen, fmt.Sprint("s", n)))
		if n == 7 || n == 15 || n == 19 {
			b.logged = append(b.logged, checkpointed(t, store))
		}
	}
	b.entries, b.checkpoints = all(t, store, queue.AllIncidents), all(t, store, queue.CheckpointSubject)
	if len(b.entries) != 20 || len(b.checkpoints) != 3 {
		t.Fatalf("got %d entries and %d checkpoints", len(b.entries), len(b.checkpoints))
	}
	return b
}

func all(t *testing.T, store queue.Store, filter string) (messages []queue.Message) {
	t.Helper()
	for m, err := range store.Scan(t.Context(), filter) {
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// edit changes an entry, by its number.
func (b *book) edit(t *testing.T, seq int, tamper func(*leak.Entry)) {
	t.Helper()
	b.entries[seq-1].Data = changed(t, b.entries[seq-1].Data, tamper)
}

// editCheckpoint changes a checkpoint, by its number.
func (b *book) editCheckpoint(t *testing.T, seq int, tamper func(*ledger.Checkpoint)) {
	t.Helper()
	var c ledger.Checkpoint
	if err := json.Unmarshal(b.checkpoints[seq-1].Data, &c); err != nil {
		t.Fatal(err)
	}
	tamper(&c)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	b.checkpoints[seq-1].Data = data
}

// rewrite makes every chain and every checkpoint fit again, as somebody does who knows how stanch works.
func (b *book) rewrite(t *testing.T) {
	t.Helper()
	renumber(b.entries)
	prev := map[string]string{}
	var sum [sha256.Size]byte
	sums := map[uint64]string{}
	for n := range b.entries {
		subject := b.entries[n].Subject
		b.edit(t, n+1, func(e *leak.Entry) { e.Prev = prev[subject] })
		entry := sha256.Sum256(b.entries[n].Data)
		prev[subject] = hex.EncodeToString(entry[:])
		sum = sha256.Sum256(append(sum[:], entry[:]...))
		sums[uint64(n+1)] = hex.EncodeToString(sum[:])
	}
	for n := range b.checkpoints {
		b.editCheckpoint(t, n+1, func(c *ledger.Checkpoint) {
			c.Seq = min(c.Seq, uint64(len(b.entries)))
			c.Count, c.Hash = c.Seq, sums[c.Seq]
		})
	}
}

// TestVerify forges a log in every way, and wants to hear of the right entry first.
func TestVerify(t *testing.T) {
	const (
		inside = "the next one of the incident, names another"
		moved  = "changed, moved or put in"
		cut    = "its end was cut off"
	)
	text := func(e *leak.Entry) { e.Steps[0].Text = "tesT" }
	for name, test := range map[string]struct {
		forge     func(t *testing.T, b *book)
		entry, to uint64
		incident  leak.Fingerprint
		text      string // of the first problem; empty: there is none
		problems  int    // 0: whatever follows from the first one
	}{
		"nothing": {forge: func(*testing.T, *book) {}},
		"a byte of a step's text": {
			func(t *testing.T, b *book) { b.edit(t, 6, text) }, 6, 0, "i1", inside, 1,
		},
		"a byte in each of two incidents": {
			func(t *testing.T, b *book) { b.edit(t, 10, text); b.edit(t, 7, text) }, 7, 0, "i2", inside, 2,
		},
		"an outcome": {
			func(t *testing.T, b *book) { b.edit(t, 6, func(e *leak.Entry) { e.Incident.State = leak.Left }) }, 6, 0, "i1", inside, 1,
		},
		"a link": {
			func(t *testing.T, b *book) { b.edit(t, 6, func(e *leak.Entry) { e.Prev = strings.Repeat("0", 64) }) },
			6, 0, "i1", "neither names", 1,
		},
		"no link": {
			func(t *testing.T, b *book) { b.edit(t, 6, func(e *leak.Entry) { e.Prev = "" }) }, 6, 0, "i1", "neither names", 1,
		},
		"the last entry of an incident": {
			func(t *testing.T, b *book) { b.edit(t, 18, text) }, 17, 20, "", moved, 1,
		},
		"the only last entry before a checkpoint": {
			func(t *testing.T, b *book) {
				b.entries, b.checkpoints, b.logged = b.entries[:17], b.checkpoints[:2], b.logged[:2]
				b.logged = append(b.logged, verified(t, b).Last)
				b.edit(t, 17, text)
			}, 17, 0, "i0", "this entry, to which no later one refers", 1,
		},
		"two entries of an incident in another order": {
			func(t *testing.T, b *book) {
				b.entries[5].Data, b.entries[9].Data = b.entries[9].Data, b.entries[5].Data
			}, 6, 0, "i1", "neither names", 2,
		},
		"two entries of two incidents in another order": {
			func(_ *testing.T, b *book) {
				b.entries[9], b.entries[10] = b.entries[10], b.entries[9]
				renumber(b.entries)
			}, 9, 16, "", moved, 1,
		},
		"an incident left out": {
			func(_ *testing.T, b *book) {
				b.entries = slices.DeleteFunc(b.entries, func(m queue.Message) bool { return m.Subject == "incidents.i2" })
				renumber(b.entries)
			}, 1, 8, "", moved, 2,
		},
		"an entry left out": {
			func(_ *testing.T, b *book) {
				b.entries = slices.Delete(b.entries, 9, 10)
				renumber(b.entries)
			}, 6, 0, "i1", "those between the two are missing", 2,
		},
		"the first entry of an incident left out": {
			func(_ *testing.T, b *book) {
				b.entries = slices.Delete(b.entries, 1, 2)
				renumber(b.entries)
			}, 5, 0, "i1", "what came before it is missing", 2,
		},
		"an entry deleted": {
			func(_ *testing.T, b *book) { b.entries = slices.Delete(b.entries, 9, 10) },
			6, 0, "i1", inside, 2,
		},
		"the first entries deleted": {
			func(_ *testing.T, b *book) { b.entries = b.entries[3:] }, 1, 3, "", "missing, or cannot be read: numbers 1 to 3", 0,
		},
		"the last entries deleted": {
			func(_ *testing.T, b *book) { b.entries, b.lastSeq = b.entries[:18], 20 }, 19, 20, "", "numbers 19 to 20", 1,
		},
		"an entry put in": {
			func(_ *testing.T, b *book) {
				b.entries = slices.Insert(b.entries, 12, b.entries[0])
				renumber(b.entries)
			}, 13, 0, "i0", "neither names", 0,
		},
		"the end cut off": {
			func(_ *testing.T, b *book) { b.entries = b.entries[:18] }, 19, 20, "", "ends with entry 18, and the checkpoint in the store", 1,
		},
		"the end cut off, checkpoints and all": {
			func(_ *testing.T, b *book) { b.entries, b.checkpoints = b.entries[:16], b.checkpoints[:2] },
			17, 20, "", "the checkpoint logged outside the store covers entry 20: " + cut, 1,
		},
		"all of it": {
			func(_ *testing.T, b *book) { b.entries, b.checkpoints = nil, nil }, 1, 8, "", cut, 1,
		},
		"a checkpoint": {
			func(t *testing.T, b *book) {
				b.editCheckpoint(t, 2, func(c *ledger.Checkpoint) { c.Hash = strings.Repeat("0", 64) })
			}, 16, 0, "", "the checkpoint in the store of entry 16 was changed", 1,
		},
		"a checkpoint's count": {
			func(t *testing.T, b *book) { b.editCheckpoint(t, 2, func(c *ledger.Checkpoint) { c.Count-- }) },
			16, 0, "", "checkpoint 2, of entry 16, does not follow", 1,
		},
		"checkpoints in another order": {
			func(_ *testing.T, b *book) {
				b.checkpoints[0], b.checkpoints[1] = b.checkpoints[1], b.checkpoints[0]
				renumber(b.checkpoints)
			}, 8, 0, "", "checkpoint 2, of entry 8, does not follow", 1,
		},
		"a checkpoint deleted": {
			func(_ *testing.T, b *book) { b.checkpoints = slices.Delete(b.checkpoints, 1, 2) },
			0, 0, "", "checkpoints are missing: number 2", 1,
		},
		"a checkpoint damaged": {
			func(_ *testing.T, b *book) { b.checkpoints[2].Data = []byte("{") }, 0, 0, "", "checkpoint 3: it is damaged", 1,
		},
		"a step's text, and all chains and checkpoints rewritten": {
			func(t *testing.T, b *book) { b.edit(t, 10, text); b.rewrite(t) },
			9, 16, "", "the checkpoint logged outside the store of entry 16 does not fit", 1,
		},
		"an incident left out, and all chains and checkpoints rewritten": {
			func(t *testing.T, b *book) {
				b.entries = slices.DeleteFunc(b.entries, func(m queue.Message) bool { return m.Subject == "incidents.i3" })
				b.checkpoints = b.checkpoints[:2]
				b.rewrite(t)
			}, 1, 8, "", "the checkpoint logged outside the store of entry 8 does not fit", 2,
		},
		"a logged checkpoint": {
			func(_ *testing.T, b *book) { b.logged[0].Hash = strings.Repeat("0", 64) },
			8, 0, "", "the checkpoint logged outside the store of entry 8 was changed", 1,
		},
		"an entry laid with another incident": {
			func(_ *testing.T, b *book) { b.entries[6].Subject = "incidents.i9" }, 3, 0, "i2", inside, 0,
		},
		"an entry damaged": {
			func(_ *testing.T, b *book) { b.entries[6].Data = b.entries[6].Data[1:] }, 7, 0, "i2", "entry 7 of the log: it is damaged", 0,
		},
		"a newer entry": {
			func(t *testing.T, b *book) { b.edit(t, 7, func(e *leak.Entry) { e.V = 2 }) }, 7, 0, "i2", "newer than this program", 0,
		},
		"a setting": {
			func(_ *testing.T, b *book) { b.changed = "max_age" }, 0, 0, "", "stream INCIDENTS is not as stanch made it: max_age", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			test.forge(t, b)
			audit := verified(t, b)
			if test.text == "" {
				if len(audit.Problems) > 0 || audit.Entries != 20 || audit.Incidents != 4 || audit.Checkpoints != 3 || audit.Uncovered != 0 {
					t.Errorf("got %+v", audit)
				}
				return
			}
			if len(audit.Problems) == 0 {
				t.Fatal("got no problem")
			}
			first := audit.Problems[0]
			if first.Entry != test.entry || first.To != test.to || first.Incident != test.incident || !strings.Contains(first.Text, test.text) {
				t.Errorf("got %+v", first)
			}
			if test.problems > 0 && len(audit.Problems) != test.problems {
				t.Errorf("got %d problems, want %d: %+v", len(audit.Problems), test.problems, audit.Problems)
			}
		})
	}
}

func verified(t *testing.T, b *book) ledger.Audit {
	t.Helper()
	audit, err := ledger.Verify(t.Context(), b, b.logged, func(uint64, uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return audit
}

// TestVerifyNamesTheStep looks at what is said of the entry that was changed.
func TestVerifyNamesTheStep(t *testing.T) {
	b := open(t)
	expected, at := hashOf(b.entries[5].Data), b.entries[5].Time
	b.edit(t, 6, func(e *leak.Entry) { e.Steps[0].Text = "forged" })
	got := verified(t, b).Problems[0]
	if got.Step != leak.Seen || !got.At.Equal(at) || got.Expected != expected || got.Found != hashOf(b.entries[5].Data) {
		t.Errorf("got %+v", got)
	}
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestVerifyManyProblems lists so many, and counts the rest.
func TestVerifyManyProblems(t *testing.T) {
	b := &book{}
	for n := range 250 {
		b.entries = append(b.entries, queue.Message{Subject: fmt.Sprint("incidents.i", n), Seq: uint64(n + 1), Data: []byte("{")})
	}
	if audit := verified(t, b); len(audit.Problems) != 100 || audit.Omitted != 150 || audit.Problems[99].Entry != 100 {
		t.Errorf("got %d problems and %d more", len(audit.Problems), audit.Omitted)
	}
}

// TestVerifyEachStore verifies a log in a real store, while it grows.
func TestVerifyEachStore(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(store)
		head := ledger.Head{}
		for n := range 1500 {
			head = appended(t, l, head, incident("a1", leak.Open), step(leak.Seen, fmt.Sprint(n)))
		}
		made := checkpointed(t, store)
		var told []uint64
		audit, err := ledger.Verify(t.Context(), store, []ledger.Checkpoint{made}, func(done, all uint64) {
			told = append(told, done, all)
			head = appended(t, l, head, incident("a1", leak.Open), step(leak.Seen, "later"))
		})
		if err != nil || len(audit.Problems) > 0 || audit.Entries != 1500 || audit.Last.String() != made.String() || audit.Checkpoints != 1 {
			t.Errorf("got %+v, %v", audit, err)
		}
		if !slices.Equal(told, []uint64{1000, 1500}) {
			t.Errorf("told of %v", told)
		}
	})
}

func TestVerifyStops(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		appended(t, ledger.New(store), ledger.Head{}, incident("a1", leak.Open), step(leak.Seen, "s1"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := ledger.Verify(ctx, store, nil, func(uint64, uint64) {}); err == nil {
			t.Error("no error")
		}
	})
}

// FuzzVerify reads whatever lies in a log.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"v":1,"steps":[{"step":"seen"}],"incident":{"id":"a1"}}`), []byte(`{"v":1,"seq":1,"count":1,"hash":"00"}`))
	f.Add([]byte(`{"v":1,"prev":"x"}`), []byte(`{"seq":18446744073709551615}`))
	f.Add([]byte(`{`), []byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, entry, checkpoint []byte) {
		b := &book{
			entries:     []queue.Message{{Subject: "incidents.a1", Seq: 1, Data: entry}, {Subject: "incidents.a1", Seq: 2, Data: entry}},
			checkpoints: []queue.Message{{Subject: queue.CheckpointSubject, Seq: 1, Data: checkpoint}},
		}
		audit := verified(t, b)
		if audit.Entries != 2 || len(audit.Problems) == 0 { // the same entry cannot follow itself
			t.Errorf("got %+v", audit)
		}
	})
}

// BenchmarkVerify verifies a log of 100,000 entries; an operation is all of them. Beside it the same log is only read.
func BenchmarkVerify(b *testing.B) {
	const entries, life = 100_000, 4
	store, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir(), Keys: "test"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	fill(b, store, entries, life)
	b.Run("verified", func(b *testing.B) {
		for b.Loop() {
			audit, err := ledger.Verify(b.Context(), store, nil, func(uint64, uint64) {})
			if err != nil || audit.Entries != entries || len(audit.Problems) > 0 {
				b.Fatalf("got %+v, %v", audit, err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			for _, err := range store.Scan(b.Context(), queue.AllIncidents) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// fill writes a log of incidents of so many entries each. It makes the chain itself, so that the appends need not wait
// for one another.
func fill(b *testing.B, store queue.Store, entries, life int) {
	b.Helper()
	var messages []queue.Message
	prev := make(map[int]string)
	for n := range entries {
		id := n % (entries / life)
		i := incident(fmt.Sprintf("%064x", id), leak.Open)
		i.Key, i.Rule, i.Reason = leak.Key{ID: "ApiKey-0f1e2d3c", Name: "deploy"}, "default", "no rule says otherwise"
		data, err := json.Marshal(leak.Entry{V: 1, ID: fmt.Sprint(n), Prev: prev[id], Incident: i, Steps: []leak.Step{step(leak.Seen, "s1")}})
		if err != nil {
			b.Fatal(err)
		}
		prev[id] = hashOf(data)
		messages = append(messages, queue.Message{Subject: queue.IncidentSubject(i.ID), Data: data})
	}
	for part := range slices.Chunk(messages, 2000) {
		if err := store.Append(b.Context(), part...); err != nil {
			b.Fatal(err)
		}
	}
}
