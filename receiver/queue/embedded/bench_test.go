package embedded_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/memory"
	"stanch/receiver/queue/queuetest"
)

// BenchmarkAppend stores messages of 1 KiB one by one, which share flushes of the disk where there are many writers, beside a
// stream where each has a flush of its own and the twin in memory.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 512} {
		b.Run(fmt.Sprintf("embedded/%d", writers), func(b *testing.B) {
			benchmarkAppend(b, open(b, embedded.Config{}), "alerts.", writers)
		})
		b.Run(fmt.Sprintf("singly/%d", writers), func(b *testing.B) {
			benchmarkAppend(b, open(b, embedded.Config{}), "told.", writers)
		})
		b.Run(fmt.Sprintf("memory/%d", writers), func(b *testing.B) {
			benchmarkAppend(b, memory.New(), "alerts.", writers)
		})
	}
}

func benchmarkAppend(b *testing.B, s queue.Store, prefix string, writers int) {
	data := make([]byte, 1<<10)
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	var sent atomic.Int64
	for w := range writers {
		all.Go(func() {
			for sent.Add(1) <= int64(b.N) {
				if err := s.Append(b.Context(), queue.Message{Subject: fmt.Sprint(prefix, w), Data: data}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkAppendMany stores 10,000 messages of 2 KiB in one Append: by the batch, and in a stream that takes none, each
// with a flush of its own. Again is the same ones once more, whose ids are known.
func BenchmarkAppendMany(b *testing.B) {
	for _, c := range []struct{ name, subject string }{{"batches", "alerts.gh"}, {"singly", "told.f"}} {
		b.Run(c.name, func(b *testing.B) { benchmarkAppendMany(b, c.subject, false) })
		b.Run(c.name+"/again", func(b *testing.B) { benchmarkAppendMany(b, c.subject, true) })
	}
}

func benchmarkAppendMany(b *testing.B, subject string, again bool) {
	s := open(b, embedded.Config{})
	messages := many(subject, 10_000, 2<<10)
	name := func(run string) {
		for i := range messages {
			messages[i].ID = fmt.Sprint(run, "/", i)
		}
	}
	if name("first"); again {
		queuetest.Append(b, s, messages...)
	}
	run := 0
	for b.Loop() {
		if run++; !again {
			name(fmt.Sprint(run))
		}
		queuetest.Append(b, s, messages...)
	}
	b.ReportMetric(float64(b.N*len(messages))/b.Elapsed().Seconds(), "messages/s")
}
