package receiver

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

	"stanch/receiver/leak"
)

// How often the key document is asked for. GitHub allows 60 requests an hour and address to those who send no token. In
// an hour, keeping it fresh costs 5 at most; unknown ids cost 10, and a burst of 5 in the first; a server that is down
// costs 30 instead of the 5, and 8 more at the start. That is never more than 53, whatever a stranger sends.
const (
	refreshInterval = 15 * time.Minute
	unknownInterval = 6 * time.Minute
	unknownBurst    = 5
	unknownPause    = time.Minute       // between two of these
	retryInterval   = 150 * time.Second // at most; the first retry comes after a second
	jitter          = 0.2               // each of ours is shorter or longer by up to this part, lest instances ask all at once

	// freshFor is how long a document proves that an id it lacks is unknown: until somebody may ask again. After that,
	// while nobody can be asked, an unknown id may be a new key.
	freshFor = unknownPause
)

// PublicKeysConfig says where the public keys of a signed feed are.
type PublicKeysConfig struct {
	Source    string                // configured name, for the log and the metric
	URL       string                // of the key document
	Token     leak.Secret           // sent as a bearer token; empty: none is sent
	Transport http.RoundTripper     // nil: http.DefaultTransport
	Log       *slog.Logger          // nil: nothing is logged
	Metrics   prometheus.Registerer // nil: nothing is exported
}

// PublicKeys verifies the signatures of a feed whose public keys are published in a document, as the partner feeds of
// GitHub and GitLab do: {"public_keys": [{"key_identifier", "key": PEM, "is_current"}]}. Good keys are served for as
// long as no other document has taken their place, however long the server is down. It is safe for concurrent use.
type PublicKeys struct {
	fetcher  fetcher
	log      *slog.Logger
	flight   singleflight.Group
	unknown  *rate.Limiter // of requests because of unknown ids
	pause    *rate.Limiter // between them
	fetching sync.Mutex
	current  atomic.Pointer[document]
	opened   time.Time
	ready    chan struct{}
}

// NewPublicKeys makes PublicKeys that hold no key yet: Run or the first signature fetches them. The error says that
// the metric of the source is registered already.
func NewPublicKeys(c PublicKeysConfig) (*PublicKeys, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &PublicKeys{
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
func (p *PublicKeys) Run(ctx context.Context) error {
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

// refreshUntilDone gives up only with ctx.
func (p *PublicKeys) refreshUntilDone(ctx context.Context) {
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
func (p *PublicKeys) Refresh(ctx context.Context) error {
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

// Ready is closed when keys have been fetched for the first time.
func (p *PublicKeys) Ready() <-chan struct{} { return p.ready }

// Admit reports ErrUnverified when a key id and a signature cannot prove anything, whatever the body is.
func (p *PublicKeys) Admit(keyID, signature string) error {
	if keyID == "" || len(keyID) > maxKeyID {
		return fmt.Errorf("%w: the key id is missing or too long", ErrUnverified)
	}
	_, err := decodeSignature(signature)
	return err
}

// Verify checks a signature, standard base64 of ASN.1 DER, made with ECDSA on P-256 over the SHA-256 of the body.
// ErrUnverified: it is not one of the key with that id, or a document that was confirmed within the last minute names no
// such key. ErrUnavailable: there is no key to check it with, and nobody can be asked. Whether a key is current does not
// count, because deliveries outlive rotations.
//
// A sender takes a 401 for final, so that the alerts of a delivery signed with a new key would be lost. An unknown id is
// therefore looked for at once, and refused when it is not there. That holds for the minute in which nobody asks again,
// because a forger must not be able to look like a sender of new keys: nobody would count its failures, and each would be
// logged as a failure of ours. What it costs is a delivery signed with a key that was published since the document was
// fetched, and a vendor whose keys are fetched has to publish them for longer than that before it signs with them.
//
// The same signature can be written in two ways, as (r, s) and (r, n-s), so it names nothing.
func (p *PublicKeys) Verify(ctx context.Context, keyID, signature string, body []byte) error {
	der, err := decodeSignature(signature)
	if err != nil {
		return err
	}
	key, err := p.key(ctx, keyID)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(body); !ecdsa.VerifyASN1(key, sum[:], der) {
		return fmt.Errorf("%w: the signature does not fit", ErrUnverified)
	}
	return nil
}

// key finds a key, and asks for the document once more when it lacks it.
func (p *PublicKeys) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	if key, ok := p.current.Load().keys[id]; ok {
		return key, nil
	}
	err := p.ask(ctx)
	have := p.current.Load()
	if key, ok := have.keys[id]; ok {
		return key, nil
	}
	if time.Since(have.confirmed) < freshFor {
		return nil, fmt.Errorf("%w: the key id is unknown", ErrUnverified)
	}
	return nil, fmt.Errorf("%w: the key id is unknown: %w", ErrUnavailable, err)
}

var errAskedEnough = errors.New("the key document was asked for often enough")

// ask refreshes on behalf of everybody who waits, if it was not done too often.
func (p *PublicKeys) ask(ctx context.Context) error {
	done := p.flight.DoChan("", func() (any, error) {
		unread := p.current.Load().confirmed.IsZero() // every id is unknown then
		if !unread && !p.pause.Allow() || !p.unknown.Allow() {
			return nil, errAskedEnough
		}
		// One sender that hangs up does not end what the others wait for. The fetcher's own timeout bounds it.
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

// decodeSignature returns the DER bytes of what can be an ECDSA signature.
func decodeSignature(signature string) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(der) > maxSignature {
		return nil, fmt.Errorf("%w: the signature is not base64 of a signature", ErrUnverified)
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: the signature is not DER", ErrUnverified)
	}
	return der, nil
}

// The longest key id and signature that are looked at, in bytes; DER of P-256 has 72 at most.
const (
	maxKeyID     = 256
	maxSignature = 128
)

// export registers the age of the keys; while there are none, the time since they were first wanted.
func (p *PublicKeys) export(reg prometheus.Registerer, source string) error {
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
