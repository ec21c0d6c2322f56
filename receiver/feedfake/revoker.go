package feedfake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// PersonalAccessToken is the type of GitLab's own tokens, which it revokes itself; only older versions tell
// a service of them.
const PersonalAccessToken = "gitleaks_rule_id_gitlab_personal_access_token"

// maxRetries is how often Sidekiq retries a set before it gives up.
const maxRetries = 17

// Leaked is one token that GitLab wants revoked.
type Leaked struct {
	Type          string // see [RevocationType]
	Token         leak.Secret
	Location      string // URL of the file
	Vulnerability int64  // 0: there is none, as for a branch that is not the default one
}

// RevokerOptions configure a Revoker: the settings of the instance, and what a test changes.
type RevokerOptions struct {
	TypesURL string // GET .../revocable_token_types
	URL      string // POST .../revoke_tokens
	Token    leak.Secret
	// Older plays GitLab before it revoked its own tokens itself and sent the vulnerability along.
	Older bool
	// Now tells the time; nil: time.Now.
	Now func() time.Time
	// Backoff is how long a set waits after it failed for the nth time, n being 0 at first; nil: Sidekiq's, with its jitter.
	Backoff func(n int) time.Duration
	// Timeout is how long an answer may take; 0: 20 seconds.
	Timeout time.Duration
}

// Set is what one scan leaked, and how far GitLab has got with it.
type Set struct {
	ID       int // from 1
	Keys     int
	Attempts int
	Posts    int       // attempts that came as far as sending the tokens
	Next     time.Time // of the next attempt, while it is neither done nor dead
	Done     bool
	Dead     bool // given up after 17 retries
}

type set struct {
	Set
	leaked []Leaked
	busy   bool
}

// Revoker is GitLab as the client of a Token Revocation API. Every attempt asks for the types first and sends all tokens of
// those types in one request; after any answer but 2xx the whole set is sent again, for about three days. Nothing is sent by
// itself: a test says when, by Attempt, RunDue or Drain. Safe for concurrent use.
type Revoker struct {
	options RevokerOptions
	client  *http.Client

	mu   sync.Mutex
	sets []*set
}

// NewRevoker makes a client with nothing to send.
func NewRevoker(o RevokerOptions) *Revoker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Backoff == nil {
		o.Backoff = func(n int) time.Duration { return Sidekiq(n) + time.Duration(rand.IntN(10*(n+1)))*time.Second }
	}
	return &Revoker{options: o, client: vendorfake.NewClient(cmp.Or(o.Timeout, 20*time.Second))}
}

// Sidekiq is how long a job waits after it failed for the nth time, n being 0 at first, before the jitter of up to 10(n+1)
// seconds.
func Sidekiq(n int) time.Duration { return time.Duration(n*n*n*n+15) * time.Second }

// Leak gives GitLab a set of tokens to have revoked, due at once, and returns its id.
func (r *Revoker) Leak(leaked ...Leaked) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &set{leaked: slices.Clone(leaked)}
	s.ID, s.Keys, s.Next = len(r.sets)+1, len(leaked), r.options.Now()
	r.sets = append(r.sets, s)
	return s.ID
}

// Sets returns every set as it is, oldest first.
func (r *Revoker) Sets() []Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	sets := make([]Set, len(r.sets))
	for i, s := range r.sets {
		sets[i] = s.Set
	}
	return sets
}

// Next is when the next attempt is due; false: every set is done or dead.
func (r *Revoker) Next() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var next time.Time
	for _, s := range r.sets {
		if !s.Done && !s.Dead && (next.IsZero() || s.Next.Before(next)) {
			next = s.Next
		}
	}
	return next, !next.IsZero()
}

// errUnknownSet is the answer of Attempt to an id that no set has.
var errUnknownSet = errors.New("no such set")

// Attempt makes one attempt with a set now, whether it is due, done or dead, and returns why it failed.
func (r *Revoker) Attempt(ctx context.Context, id int) error {
	r.mu.Lock()
	if id < 1 || id > len(r.sets) {
		r.mu.Unlock()
		return errUnknownSet
	}
	s := r.sets[id-1]
	r.mu.Unlock()
	posted, err := r.send(ctx, s.leaked)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.note(posted, err, r.options)
	return err
}

func (s *set) note(posted bool, err error, o RevokerOptions) {
	s.busy = false
	if posted {
		s.Posts++
	}
	failures := s.Attempts
	s.Attempts++
	switch {
	case err == nil:
		s.Done, s.Dead = true, false
	case failures >= maxRetries:
		s.Dead = true
	default:
		s.Next = o.Now().Add(o.Backoff(failures))
	}
}

// RunDue makes one attempt with every set that is due, oldest first, and returns how many that were.
func (r *Revoker) RunDue(ctx context.Context) int {
	due := r.take()
	for _, id := range due {
		_ = r.Attempt(ctx, id) // the set keeps what became of it
	}
	return len(due)
}

// take returns the sets that are due and not being sent.
func (r *Revoker) take() (due []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.options.Now()
	for _, s := range r.sets {
		if !s.Done && !s.Dead && !s.busy && !now.Before(s.Next) {
			s.busy = true
			due = append(due, s.ID)
		}
	}
	return due
}

// Drain makes attempts as they fall due, in real time, until every set is done or dead. It returns what ends ctx.
func (r *Revoker) Drain(ctx context.Context) error {
	for {
		next, some := r.Next()
		if !some {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(next.Sub(r.options.Now())):
			r.RunDue(ctx)
		}
	}
}

// send makes one attempt, and reports whether it came as far as sending tokens.
func (r *Revoker) send(ctx context.Context, leaked []Leaked) (posted bool, err error) {
	types, err := r.types(ctx)
	if err != nil {
		return false, err
	}
	wanted := []map[string]any{}
	for _, l := range leaked {
		if slices.Contains(types, l.Type) && (r.options.Older || l.Type != PersonalAccessToken) {
			wanted = append(wanted, l.show(r.options.Older))
		}
	}
	if len(wanted) == 0 {
		return false, nil
	}
	body, _ := json.Marshal(wanted) // plain values always marshal
	if _, err := r.ask(ctx, http.MethodPost, r.options.URL, body); err != nil {
		return true, fmt.Errorf("revoking tokens: %w", err)
	}
	return true, nil
}

func (r *Revoker) types(ctx context.Context) ([]string, error) {
	data, err := r.ask(ctx, http.MethodGet, r.options.TypesURL, nil)
	if err != nil {
		return nil, fmt.Errorf("getting revocation token types: %w", err)
	}
	var known struct {
		Types []string `json:"types"`
	}
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, errors.New("getting revocation token types: the answer is no JSON")
	}
	return known.Types, nil
}

// show is a token as it is sent. A vulnerability is sent as a whole record.
func (l Leaked) show(older bool) map[string]any {
	shown := map[string]any{"type": l.Type, "token": l.Token.Reveal(), "location": l.Location}
	if older {
		return shown
	}
	shown["vulnerability"] = nil
	if l.Vulnerability != 0 {
		shown["vulnerability"] = map[string]any{"id": l.Vulnerability, "state": "detected", "report_type": "secret_detection"}
	}
	return shown
}

// ask sends one request. Its errors hold no URL, because a URL may hold a secret.
func (r *Revoker) ask(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL is none")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", r.options.Token.Reveal())
	request.Header.Set("User-Agent", "GitLab/19.0.0-ee")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, errors.New("nobody answered")
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, fmt.Errorf("answered %d", response.StatusCode)
	}
	return data, nil
}

// RevocationType is what GitLab calls the type of a secret when it asks a service to revoke it: the kind of identifier and
// the rule.
func RevocationType(kind, rule string) string {
	return strings.ToLower(kind + "_" + strings.ReplaceAll(rule, " ", "_"))
}
