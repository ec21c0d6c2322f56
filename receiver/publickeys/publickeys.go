// Package publickeys verifies deliveries that are signed with keys which a vendor publishes in a document, as the partner
// programmes of GitHub and GitLab do: {"public_keys": [{"key_identifier", "key": PEM, "is_current"}]}. A [Cache] fetches
// the document and keeps it fresh with no more requests than the vendor allows, whatever strangers send. Good keys stay in
// use until another document replaces them, however long the server is down.
package publickeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// How often the key document is requested. Without a token, GitHub allows an address 60 requests an hour. In an hour,
// keeping the document fresh costs 5 at most; unknown ids cost 10, and a burst of 5 in the first; a server that is down
// costs 30 instead of the 5, and 8 more at the start. That is never more than 53, whatever a stranger sends.
const (
	refreshInterval = 15 * time.Minute
	unknownInterval = 6 * time.Minute
	unknownBurst    = 5
	unknownPause    = time.Minute       // between two of those
	retryInterval   = 150 * time.Second // at most; the first retry follows after a second
	jitter          = 0.2               // each interval varies by up to this part, so that instances do not all ask at once

	// freshFor is how long a document proves that an id missing from it is unknown: until the next request is allowed. After
	// that, while the server does not answer, an unknown id may be a new key.
	freshFor = unknownPause
)

// Config says where the public keys of one feed are. Only Source and URL are required.
type Config struct {
	Source    string                // configured name, for the log and the metric
	URL       string                // of the key document
	Token     leak.Secret           // sent as a bearer token; empty: none is sent
	Transport http.RoundTripper     // nil: the network's
	Log       *slog.Logger          // nil: nothing is logged
	Metrics   prometheus.Registerer // nil: nothing is exported
}

// Cache holds the public keys of one feed and verifies its signatures. It is safe for concurrent use.
type Cache struct {
	fetcher  fetcher
	log      *slog.Logger
	flight   singleflight.Group
	unknown  *rate.Limiter // bounds the requests for unknown ids
	pause    *rate.Limiter // between those requests
	fetching sync.Mutex
	current  atomic.Pointer[document]
	opened   time.Time
	ready    chan struct{}
}

// New makes a Cache that holds no key yet: Run or the first signature fetches them. The error says that the metric of the
// source is already registered.
func New(c Config) (*Cache, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Cache{
		fetcher: newFetcher(c.URL, c.Token, c.Transport),
		log:     c.Log.With("source", c.Source),
		unknown: rate.NewLimiter(rate.Every(unknownInterval), unknownBurst),
		pause:   rate.NewLimiter(rate.Every(unknownPause), 1),
		opened:  time.Now(),
		ready:   make(chan struct{}),
	}
	p.current.Store(&document{})
	if err := p.export(c.Metrics, c.Source); err != nil {
		return nil, fmt.Errorf("registering the age of public keys: %w", err)
	}
	return p, nil
}

// Run keeps the keys fresh until ctx ends, and then returns nil.
func (p *Cache) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		p.refreshUntilDone(ctx)
		wait := time.Duration((1 - jitter + 2*jitter*rand.Float64()) * float64(refreshInterval))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// refreshUntilDone retries until it succeeds or ctx ends.
func (p *Cache) refreshUntilDone(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = time.Second
	retry.Multiplier = 2
	retry.RandomizationFactor = jitter
	retry.MaxInterval = retryInterval
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, p.Refresh(ctx) },
		backoff.WithBackOff(retry), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			p.log.Warn("refreshing public keys", "err", err, "keys", len(p.current.Load().keys), "retry_in", wait)
		}))
}

// Refresh fetches the document now. On an error the keys stay as they are.
func (p *Cache) Refresh(ctx context.Context) error {
	p.fetching.Lock()
	defer p.fetching.Unlock()
	fetched, err := p.fetcher.fetch(ctx, p.current.Load())
	if err != nil {
		return fmt.Errorf("fetching public keys: %w", err)
	}
	if p.current.Swap(fetched).confirmed.IsZero() {
		close(p.ready)
	}
	return nil
}

// Ready is closed once keys have been fetched for the first time.
func (p *Cache) Ready() <-chan struct{} { return p.ready }

// Admit returns receiver.ErrUnverified when a key id and a signature cannot prove anything, whatever the body is.
func (p *Cache) Admit(keyID, signature string) error {
	if keyID == "" || len(keyID) > maxKeyID {
		return fmt.Errorf("%w: the key id is missing or too long", receiver.ErrUnverified)
	}
	_, err := decodeSignature(signature)
	return err
}

// Verify checks a signature over the SHA-256 of the body: ECDSA on P-256, as ASN.1 DER in standard base64. It returns
// receiver.ErrUnverified when the key with that id did not sign the body, or when a document confirmed within the last
// minute names no such key; receiver.ErrUnavailable when there is no key to check with and the server cannot be asked.
// Keys that are not current verify as well, because deliveries outlive rotations.
//
// A sender takes a 401 as final, so a 401 for a key that is merely new would lose alerts. An unknown id is therefore looked
// up at once, and refused when the document lacks it. For a minute after that other unknown ids are refused without a
// request: otherwise a forger could pose as a sender with a new key, its failures would not be counted, and each would be
// logged as a failure of ours. The price is a delivery signed with a key published since the document was fetched; a
// vendor has to publish a key for longer than that anyway before it signs with it.
//
// A signature identifies nothing: (r, s) and (r, n-s) are the same one.
func (p *Cache) Verify(ctx context.Context, keyID, signature string, body []byte) error {
	der, err := decodeSignature(signature)
	if err != nil {
		return err
	}
	key, err := p.key(ctx, keyID)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(body); !ecdsa.VerifyASN1(key, sum[:], der) {
		return fmt.Errorf("%w: the signature does not fit", receiver.ErrUnverified)
	}
	return nil
}

// key finds a key, and requests the document once more when the key is missing.
func (p *Cache) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	if key, ok := p.current.Load().keys[id]; ok {
		return key, nil
	}
	err := p.ask(ctx)
	have := p.current.Load()
	if key, ok := have.keys[id]; ok {
		return key, nil
	}
	if time.Since(have.confirmed) < freshFor {
		return nil, fmt.Errorf("%w: the key id is unknown", receiver.ErrUnverified)
	}
	return nil, fmt.Errorf("%w: the key id is unknown: %w", receiver.ErrUnavailable, err)
}

var errAskedEnough = errors.New("the key document was requested often enough")

// ask refreshes once for all who wait, unless that was done too often.
func (p *Cache) ask(ctx context.Context) error {
	done := p.flight.DoChan("", func() (any, error) {
		unread := p.current.Load().confirmed.IsZero() // then every id is unknown
		if !unread && !p.pause.Allow() || !p.unknown.Allow() {
			return nil, errAskedEnough
		}
		// A sender that hangs up must not end what the others wait for. The fetcher's timeout bounds the request.
		err := p.Refresh(context.WithoutCancel(ctx))
		if err != nil {
			p.log.Warn("looking for an unknown public key", "err", err)
		}
		return nil, err
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case result := <-done:
		return result.Err
	}
}

// decodeSignature returns the DER bytes of a well-formed ECDSA signature.
func decodeSignature(signature string) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(der) > maxSignature {
		return nil, fmt.Errorf("%w: the signature is not base64 of a signature", receiver.ErrUnverified)
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: the signature is not DER", receiver.ErrUnverified)
	}
	return der, nil
}

// The longest key id and signature that are considered, in bytes; DER of P-256 takes 72 at most.
const (
	maxKeyID     = 256
	maxSignature = 128
)

// export registers the age of the keys; while there are none, it counts from when the cache was made.
func (p *Cache) export(reg prometheus.Registerer, source string) error {
	if reg == nil {
		return nil
	}
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "stanch_public_keys_age_seconds",
		Help:        "Time since the public keys of a source were last confirmed, or since the start while there are none.",
		ConstLabels: prometheus.Labels{"source": source},
	}, func() float64 {
		since := p.current.Load().confirmed
		if since.IsZero() {
			since = p.opened
		}
		return time.Since(since).Seconds()
	}))
}
