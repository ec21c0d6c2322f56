package receiver_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
)

// TestUse changes the sources: a kept one is still served, a new one is, a removed one is not, and the metrics agree.
func TestUse(t *testing.T) {
	gh := newPartner(t, feedfake.NewKeyServer(newSigner(t)))
	h := newHouse(t, func(_ *house, c *receiver.Config) {
		c.Sources = map[string]receiver.Source{"gh": scripted{}, "old": scripted{}}
	})
	wantStatus(t, h.deliver(t, "[]"), http.StatusNoContent)
	h.handler.Use(map[string]receiver.Source{"gh": scripted{}, "new": gh}, receiver.Limits{})
	wantStatus(t, h.deliver(t, "[]"), http.StatusNoContent)
	wantStatus(t, h.send(t, http.MethodPost, "/hooks/old", nil, strings.NewReader("[]")), http.StatusNotFound)
	wantStatus(t, h.send(t, http.MethodPost, "/hooks/new", nil, strings.NewReader("[]")), http.StatusUnauthorized)
	h.wantCounted(t, "gh", "stored", 2)
	h.wantCounted(t, "new", "unverified", 1)
	h.wantCounted(t, "new", "stored", 0)
	if metrics := h.metrics(t); strings.Contains(metrics, `source="old"`) {
		t.Errorf("the metrics still tell of the source that is gone:\n%s", metrics)
	}
}

// TestUseLimits changes the limits: a body over the new limit is refused from then on, and one within the new budget is accepted
// while an earlier one holds all of the old budget.
func TestUseLimits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := scripted{verify: func() error { entered <- struct{}{}; <-leave; return nil }}
	sources := map[string]receiver.Source{"slow": slow, "quick": scripted{}}
	h := newHouse(t, func(_ *house, c *receiver.Config) {
		c.Sources, c.Limits = sources, receiver.Limits{Body: 1000, InFlightBytes: 1001}
	})
	post := func(name string, size int) *http.Response {
		return h.send(t, http.MethodPost, "/hooks/"+name, nil, strings.NewReader(strings.Repeat(" ", size)))
	}
	var wg sync.WaitGroup
	wg.Go(func() { wantStatus(t, post("slow", 950), http.StatusNoContent) })
	<-entered
	wantStatus(t, post("quick", 500), http.StatusServiceUnavailable)
	h.handler.Use(sources, receiver.Limits{Body: 1000, InFlightBytes: 1001})
	wantStatus(t, post("quick", 500), http.StatusServiceUnavailable) // the same limits are the same budget
	h.handler.Use(sources, receiver.Limits{Body: 800})
	wantStatus(t, post("quick", 500), http.StatusNoContent)
	wantStatus(t, post("quick", 950), http.StatusRequestEntityTooLarge)
	close(leave)
	wg.Wait()
}

// TestUseUnderWay removes the source of a delivery under way: the delivery is stored and answered all the same, and does not bring
// back the series of its source.
func TestUseUnderWay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, withSource(scripted{
		verify: func() error { close(entered); <-leave; return nil },
		parse: func() (receiver.Parsed, error) {
			return receiver.Parsed{Found: []leak.Content{{Secret: leak.NewSecret(planted)}}}, nil
		},
	}))
	var wg sync.WaitGroup
	wg.Go(func() { wantStatus(t, h.deliver(t, "[]"), http.StatusNoContent) })
	<-entered
	h.handler.Use(map[string]receiver.Source{"other": scripted{}}, receiver.Limits{})
	close(leave)
	wg.Wait()
	h.wantStored(t, 1, 0)
	if metrics := h.metrics(t); strings.Contains(metrics, `source="gh"`) {
		t.Errorf("the delivery brought back the series of its source:\n%s", metrics)
	}
}

// TestUseUnderLoad changes sources and limits while a source that stays gets deliveries: none is refused or lost.
func TestUseUnderLoad(t *testing.T) {
	var leaked atomic.Int64
	always := scripted{parse: func() (receiver.Parsed, error) {
		return receiver.Parsed{Found: []leak.Content{{Secret: leak.NewSecret(fmt.Sprint(planted, leaked.Add(1)))}}}, nil
	}}
	h := newHouse(t, withSource(always))
	const senders, each = 4, 50
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for range each {
					wantStatus(t, h.deliver(t, "[]"), http.StatusNoContent)
				}
			})
		}
		wg.Wait()
	}()
	for i, over := 0, false; !over; i++ {
		sources := map[string]receiver.Source{"gh": always}
		if i%2 == 0 {
			sources["other"] = scripted{}
		}
		h.handler.Use(sources, receiver.Limits{Body: int64(1000 + i%3)})
		select {
		case <-sent:
			over = true
		default:
		}
	}
	h.wantStored(t, senders*each, 0)
	h.wantCounted(t, "gh", "stored", senders*each)
}
