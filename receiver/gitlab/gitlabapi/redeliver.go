package gitlabapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"stanch/receiver/collect"
)

const (
	// perMinute is how many events GitLab sends again in a minute.
	perMinute = 5
	// maxResent is how many are asked for in one call, which waits between them; the next call goes on.
	maxResent = 20
	// maxSettled is how many deliveries are remembered to need nothing more.
	maxSettled = 1 << 14
	// eventsPerPage is the most that GitLab takes for a page of events.
	eventsPerPage = "20"
)

// sent is one delivery as GitLab lists it, for a week and without a time. One that is sent again is listed again, with another
// id and the same key.
type sent struct {
	ID      int64           `json:"id"`
	Trigger string          `json:"trigger"`
	Status  json.RawMessage `json:"response_status"` // a number, or text; "internal error" when nobody answered
	Header  map[string]any  `json:"request_headers"`
}

// arrived reports whether a status is that of success.
func arrived(status json.RawMessage) bool {
	code, err := strconv.Atoi(strings.Trim(string(status), `"`))
	return err == nil && code >= 200 && code < 300
}

// key is what all attempts of a delivery have in common.
func (s sent) key() string {
	for name, value := range s.Header {
		if text, ok := value.(string); ok && text != "" && strings.EqualFold(name, "Idempotency-Key") {
			return text
		}
	}
	return strconv.FormatInt(s.ID, 10)
}

// resent is what is known of deliveries that failed: which need nothing more, and when some were sent again. It is safe for
// concurrent use.
type resent struct {
	minute time.Duration // in which perMinute are sent again

	mu      sync.Mutex
	settled map[string]bool
	at      []time.Time // of the last ones, oldest first
}

func newResent() *resent { return &resent{minute: time.Minute, settled: map[string]bool{}} }

func (r *resent) settle(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.settled) >= maxSettled {
		clear(r.settled) // those that are still listed as failed are looked up once more
	}
	r.settled[key] = true
}

func (r *resent) isSettled(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled[key]
}

// turn takes the next turn, and returns how long it is until then.
func (r *resent) turn() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := time.Now()
	if len(r.at) == perMinute {
		if free := r.at[0].Add(r.minute); free.After(next) {
			next = free
		}
		r.at = r.at[1:]
	}
	r.at = append(r.at, next)
	return time.Until(next)
}

// Redeliver implements collect.Redeliverer. GitLab lists deliveries for a week without saying when they were: all that failed
// are asked for, whatever the time is that is given, and none twice. A hook that is switched off is tested first, which
// switches it on again if we take the test. What is wrong with one hook does not keep the others from being looked at.
func (v *vendor) Redeliver(ctx context.Context, _ time.Time) (int, error) {
	feeds, err := v.feeds(ctx)
	if err != nil {
		return 0, err
	}
	asked := 0
	var problem error
	for _, feed := range feeds {
		n, err := v.redeliver(ctx, feed, maxResent-asked)
		asked += n
		switch {
		case err == nil:
		case !errors.Is(err, collect.ErrSwitchedOff) && !errors.Is(err, errAgain):
			return asked, err
		case problem == nil || errors.Is(err, collect.ErrSwitchedOff):
			problem = err
		}
	}
	return asked, problem
}

// errAgain is what is wrong with deliveries of one hook only.
var errAgain = errors.New("not all deliveries that failed could be sent again")

// redeliver asks for the deliveries of one hook, at most so many.
func (v *vendor) redeliver(ctx context.Context, feed hookFeed, most int) (asked int, err error) {
	if feed.settings.off() && !v.revive(ctx, feed) {
		return 0, fmt.Errorf("%w: %s", collect.ErrSwitchedOff, feed.silence())
	}
	lost, err := v.lost(ctx, feed)
	for n, s := range lost {
		if n >= most {
			return asked, fmt.Errorf("%w: %d are left for the next time", errAgain, len(lost)-n)
		}
		if err := wait(ctx, v.resent.turn()); err != nil {
			return asked, fmt.Errorf("%s: %w", sendingAgain, err)
		}
		switch err := v.again(ctx, feed, s); {
		case err == nil:
			asked++
		case answered(err, http.StatusNotFound): // a week has passed
		case answered(err, http.StatusUnprocessableEntity): // its URL is another one now
			v.log.WarnContext(ctx, "a failed delivery is not sent again", "err", err)
		default:
			return asked, err
		}
		v.resent.settle(s.key())
	}
	return asked, err
}

// sendingAgain is what is being done, for errors.
const sendingAgain = "asking for a delivery again"

// wait waits until a time has passed or the context ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again asks for a delivery to be sent again, which GitLab does at once. One that fails again ends it: more failures would
// switch the hook off.
func (v *vendor) again(ctx context.Context, feed hookFeed, s sent) error {
	var answer struct {
		Status json.RawMessage `json:"response_status"`
	}
	_, err := v.ask(ctx, request{
		doing: sendingAgain, method: http.MethodPost, into: &answer, means: notListed,
		path:  feed.path + "/events/" + strconv.FormatInt(s.ID, 10) + "/resend",
		hints: map[int]string{http.StatusUnprocessableEntity: "the hook's URL has changed since, or it is switched off"},
	})
	if err == nil && !arrived(answer.Status) {
		err = fmt.Errorf("%w: one failed again", errAgain)
	}
	return err
}

// revive tests a hook that is switched off, and reports whether it is on again.
func (v *vendor) revive(ctx context.Context, feed hookFeed) bool {
	v.log.WarnContext(ctx, "a hook is switched off because deliveries failed", "hook", feed.path)
	trigger := "vulnerability_events"
	if !feed.settings.Vulnerabilities {
		trigger = "job_events"
	}
	_, err := v.ask(ctx, request{
		doing: "testing the hook", method: http.MethodPost, path: feed.path + "/test/" + trigger, means: notListed,
		hints: map[int]string{http.StatusUnprocessableEntity: "it failed, or there is nothing to test it with"},
	})
	if err != nil {
		v.log.WarnContext(ctx, "a hook stays switched off", "hook", feed.path, "err", err)
		return false
	}
	v.log.InfoContext(ctx, "a hook is switched on again", "hook", feed.path)
	return true
}

// lost lists the deliveries that failed and did not succeed later, oldest first, each by its newest attempt.
func (v *vendor) lost(ctx context.Context, feed hookFeed) ([]sent, error) {
	failed := map[string]sent{}
	oldest := int64(0)
	for page, err := range pages[sent](ctx, v, feed.events("client_failure,server_failure")) {
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			if key := s.key(); s.tells() && !v.resent.isSettled(key) {
				if s.ID > failed[key].ID {
					failed[key] = s
				}
				oldest = s.ID // newest first
			}
		}
	}
	if err := v.strike(ctx, feed, failed, oldest); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(failed), func(a, b sent) int { return int(min(max(a.ID-b.ID, -1), 1)) }), nil
}

// tells reports whether a delivery may tell of a leak.
func (s sent) tells() bool { return s.Trigger == "vulnerability_hooks" || s.Trigger == "job_hooks" }

// strike takes out what succeeded since the oldest failure.
func (v *vendor) strike(ctx context.Context, feed hookFeed, failed map[string]sent, oldest int64) error {
	if len(failed) == 0 {
		return nil
	}
	for page, err := range pages[sent](ctx, v, feed.events("successful")) {
		if err != nil {
			return err
		}
		for _, s := range page {
			if s.ID < oldest {
				return nil
			}
			if key := s.key(); failed[key].ID > 0 {
				delete(failed, key)
				v.resent.settle(key)
			}
		}
	}
	return nil
}

// events is the list of what a hook sent, newest first; with a status, of those alone.
func (h hookFeed) events(status string) request {
	query := url.Values{"per_page": {eventsPerPage}}
	if status != "" {
		query.Set("status", status)
	}
	return request{
		doing: "listing deliveries", method: http.MethodGet, path: h.path + "/events", means: notListed, query: query,
		hints: map[int]string{http.StatusNotFound: "GitLab lists deliveries since version 17.3"},
	}
}
