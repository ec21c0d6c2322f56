package gitlabhooks

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

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/outbound"
)

const (
	// perMinute is how many events GitLab sends again in a minute.
	perMinute = 5
	// maxResent is how many are asked for in one call of Redeliver, which waits between them; the next call continues.
	maxResent = 20
	// maxSettled is how many settled deliveries are remembered.
	maxSettled = 1 << 14
	// eventsPerPage is the most that GitLab puts on one page of events.
	eventsPerPage = "20"
)

// delivery is one delivery as GitLab lists it, for a week and without a time; go-gitlab has no methods for them. A delivery that
// is sent again is listed again, with another id and the same key.
type delivery struct {
	ID      int64           `json:"id"`
	Trigger string          `json:"trigger"`
	Status  json.RawMessage `json:"response_status"` // a number, or text; "internal error" when nobody answered
	Header  map[string]any  `json:"request_headers"`
}

// isSuccess reports whether a status is one of success.
func isSuccess(status json.RawMessage) bool {
	code, err := strconv.Atoi(strings.Trim(string(status), `"`))
	return err == nil && code >= 200 && code < 300
}

// key is what all attempts of a delivery have in common.
func (d delivery) key() string {
	for name, value := range d.Header {
		if text, ok := value.(string); ok && text != "" && strings.EqualFold(name, "Idempotency-Key") {
			return text
		}
	}
	return strconv.FormatInt(d.ID, 10)
}

// resent remembers which failed deliveries are settled, and when the last ones were sent again. It is safe for concurrent use.
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

// reserve reserves the next free time to have a delivery sent again, and returns how long to wait for it.
func (r *resent) reserve() time.Duration {
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

// Redeliver asks for every delivery that failed and did not succeed later to be sent again, and returns how many it asked for.
// GitLab lists deliveries for a week without saying when they were, so it asks for all of them, and for none twice. A hook that
// is switched off is tested first, which switches it on again if we take the test; otherwise the error wraps
// collect.ErrSwitchedOff. A problem with one hook does not keep the others from being looked at.
func (h *Hooks) Redeliver(ctx context.Context) (int, error) {
	feeds, err := h.feeds(ctx)
	if err != nil {
		return 0, err
	}
	asked := 0
	var problem error
	for _, f := range feeds {
		n, err := h.redeliver(ctx, f, maxResent-asked)
		asked += n
		switch {
		case err == nil:
		case !errors.Is(err, collect.ErrSwitchedOff) && !errors.Is(err, errIncomplete):
			return asked, err
		case problem == nil || errors.Is(err, collect.ErrSwitchedOff):
			problem = err
		}
	}
	return asked, problem
}

// errIncomplete is a problem with the deliveries of one hook only.
var errIncomplete = errors.New("not all deliveries that failed could be sent again")

// redeliver asks for the deliveries of one hook, but for no more than most.
func (h *Hooks) redeliver(ctx context.Context, f feed, most int) (asked int, err error) {
	if f.setup.isOff() && !h.revive(ctx, f) {
		return 0, fmt.Errorf("%w: %s", collect.ErrSwitchedOff, f.silence())
	}
	lost, err := h.lost(ctx, f)
	for n, d := range lost {
		if n >= most {
			return asked, fmt.Errorf("%w: %d are left for the next time", errIncomplete, len(lost)-n)
		}
		if err := wait(ctx, h.resent.reserve()); err != nil {
			return asked, fmt.Errorf("%s: %w", resending, err)
		}
		switch err := h.resend(ctx, f, d); {
		case err == nil:
			asked++
		case outbound.Answered(err, http.StatusNotFound): // a week has passed
		case outbound.Answered(err, http.StatusUnprocessableEntity): // the hook has another URL now
			h.log.WarnContext(ctx, "a failed delivery is not sent again", "err", err)
		default:
			return asked, err
		}
		h.resent.settle(d.key())
	}
	return asked, err
}

// resending says what we are doing, for errors.
const resending = "asking for a delivery again"

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

// resend has a delivery sent again, which GitLab does at once. If it fails again, that ends the round: more failures would switch
// the hook off.
func (h *Hooks) resend(ctx context.Context, f feed, d delivery) error {
	var answer struct {
		Status json.RawMessage `json:"response_status"`
	}
	path := f.path + "/events/" + strconv.FormatInt(d.ID, 10) + "/resend"
	_, err := h.client.Do(ctx, gitlabclient.Call{
		Doing: resending, Means: gitlabclient.NotGone,
		Send:  gitlabclient.Raw(http.MethodPost, path, nil, nil, &answer), // see delivery
		Hints: map[int]string{http.StatusUnprocessableEntity: "the hook's URL has changed since, or it is switched off"},
	})
	if err == nil && !isSuccess(answer.Status) {
		err = fmt.Errorf("%w: one failed again", errIncomplete)
	}
	return err
}

// revive tests a hook that is switched off, and reports whether it is on again.
func (h *Hooks) revive(ctx context.Context, f feed) bool {
	h.log.WarnContext(ctx, "a hook is switched off because deliveries failed", "hook", f.path)
	event := "vulnerability_events"
	if !f.setup.Vulnerabilities {
		event = "job_events"
	}
	_, err := h.client.Do(ctx, gitlabclient.Call{
		Doing: "testing the hook", Means: gitlabclient.NotGone,
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) error {
			return f.test(to, event, options...)
		},
		Hints: map[int]string{http.StatusUnprocessableEntity: "it failed, or there is nothing to test it with"},
	})
	if err != nil {
		h.log.WarnContext(ctx, "a hook stays switched off", "hook", f.path, "err", err)
		return false
	}
	h.log.InfoContext(ctx, "a hook is switched on again", "hook", f.path)
	return true
}

// lost lists the deliveries that failed and did not succeed later, oldest first, each by its latest attempt.
func (h *Hooks) lost(ctx context.Context, f feed) ([]delivery, error) {
	failed := map[string]delivery{}
	oldest := int64(0)
	for page, err := range f.deliveries("client_failure,server_failure").Pages(ctx, h.client) {
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if key := d.key(); d.isReport() && !h.resent.isSettled(key) {
				if d.ID > failed[key].ID {
					failed[key] = d
				}
				oldest = d.ID // newest first
			}
		}
	}
	if err := h.removeSucceeded(ctx, f, failed, oldest); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(failed), func(a, b delivery) int { return int(min(max(a.ID-b.ID, -1), 1)) }), nil
}

// isReport reports whether a delivery may report a leak.
func (d delivery) isReport() bool {
	return d.Trigger == "vulnerability_hooks" || d.Trigger == "job_hooks"
}

// removeSucceeded removes what succeeded since the oldest failure.
func (h *Hooks) removeSucceeded(ctx context.Context, f feed, failed map[string]delivery, oldest int64) error {
	if len(failed) == 0 {
		return nil
	}
	for page, err := range f.deliveries("successful").Pages(ctx, h.client) {
		if err != nil {
			return err
		}
		for _, d := range page {
			if d.ID < oldest {
				return nil
			}
			if key := d.key(); failed[key].ID > 0 {
				delete(failed, key)
				h.resent.settle(key)
			}
		}
	}
	return nil
}

// deliveries is the list of what a hook sent, newest first; if a status is given, of those alone.
func (f feed) deliveries(status string) gitlabclient.List[delivery] {
	query := url.Values{"per_page": {eventsPerPage}}
	if status != "" {
		query.Set("status", status)
	}
	return gitlabclient.List[delivery]{
		Call: gitlabclient.Call{
			Doing: "listing deliveries", Means: gitlabclient.NotGone,
			Hints: map[int]string{http.StatusNotFound: "GitLab lists deliveries since version 17.3"},
		},
		Page: gitlabclient.RawPage[delivery](f.path+"/events", query), // see delivery
	}
}
