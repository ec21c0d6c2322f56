// Package ibmcloud is IBM Cloud IAM as an issuer: it asks IAM whose API key a secret is, disables, deletes, enables,
// locks and unlocks keys by id, and reads them again. It tries once, follows no redirect, and keeps of an error answer
// its status and message code only. Access tokens that were issued for a key outlive it by up to 60 minutes.
package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/resourcecontrollerv2"

	"stanch/dispositions"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// activityTimeout bounds the question for a key's last use, which IBM calls expensive: nobody waits long for a detail
// while a leaked key works.
const activityTimeout = 2 * time.Second

// keyID is what the id of an API key looks like. Nothing else goes into a path.
var keyID = regexp.MustCompile(`^ApiKey-[0-9a-fA-F-]{36}$`)

// issuer is everything that dispositions asks of an issuer, but a Batcher.
type issuer struct {
	service *iam.IamIdentityV1
	// controller holds the service credentials; nil: none is configured, and keys are deleted without them.
	controller *resourcecontrollerv2.ResourceControllerV2
	tokens     *tokens
	own        *own
	last       *atomic.Pointer[outbound.Exchange] // nil in it: IAM has not answered yet
	log        *slog.Logger
}

// Locate implements dispositions.Issuer. The answer includes the key's last use, and the name of its service ID, when IAM
// says them in time.
func (i *issuer) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	const doing = "locating the key"
	if secret.Empty() {
		return leak.Key{}, errEmpty
	}
	if _, err := i.own.identity(ctx); err != nil {
		return leak.Key{}, err
	}
	found, err := i.details(ctx, doing, secret)
	if saysUnknownValue(err) || forbids(err) {
		err = i.establish(ctx, err)
	}
	if err != nil {
		return leak.Key{}, err
	}
	key, err := i.own.key(doing, found)
	if err != nil {
		return leak.Key{}, err
	}
	var asking sync.WaitGroup // so that the details take as long as the slower one
	asking.Go(func() { key.OwnerName = i.ownerName(ctx, key) })
	used := i.use(ctx, key.ID)
	asking.Wait()
	key.Used, key.LastUsedAt = used, used.LastAt
	return key, nil
}

// Abilities implements dispositions.Issuer. IAM documents no window for changes to a key: they are read back at once.
func (i *issuer) Abilities() leak.Abilities {
	return leak.Abilities{
		Disable: true, Enable: true, Delete: true, Read: true, Prove: true, Lock: true, TokensOutlive: leak.LivesFor(tokenLife),
	}
}

// Read implements dispositions.Reader.
func (i *issuer) Read(ctx context.Context, t dispositions.Target) (leak.Key, error) {
	return i.read(ctx, t.Key.ID)
}

func (i *issuer) read(ctx context.Context, id string) (leak.Key, error) {
	const doing = "reading the key"
	if err := checkID(id); err != nil {
		return leak.Key{}, err
	}
	if _, err := i.own.identity(ctx); err != nil {
		return leak.Key{}, err
	}
	found, err := i.get(ctx, doing, id, false)
	if err != nil {
		return leak.Key{}, err
	}
	key, err := i.own.key(doing, found)
	if err == nil && !strings.EqualFold(key.ID, id) {
		return leak.Key{}, fmt.Errorf("%s: %w", doing, errOtherKey)
	}
	return key, err
}

// Disable implements dispositions.Disabler.
func (i *issuer) Disable(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return i.write(ctx, id, change{
		doing: "disabling the key", minds: true, reached: func(k leak.Key) bool { return k.Disabled },
		send: func(headers map[string]string) (*core.DetailedResponse, error) {
			return i.service.DisableAPIKeyWithContext(ctx, i.service.NewDisableAPIKeyOptions(id).SetHeaders(headers))
		},
	})
}

// Enable implements dispositions.Enabler.
func (i *issuer) Enable(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return i.write(ctx, id, change{
		doing: "enabling the key", minds: true, reached: func(k leak.Key) bool { return !k.Disabled },
		send: func(headers map[string]string) (*core.DetailedResponse, error) {
			return i.service.EnableAPIKeyWithContext(ctx, i.service.NewEnableAPIKeyOptions(id).SetHeaders(headers))
		},
	})
}

// Delete implements dispositions.Deleter. With a resource controller, the service credential that the key was made for goes
// with it.
func (i *issuer) Delete(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	deleted, err := i.deleteCredential(ctx, id)
	if err != nil {
		return err
	}
	err = i.deleteKey(ctx, id)
	if deleted && errors.Is(err, leak.ErrNotFound) {
		return nil
	}
	return err
}

// Lock implements dispositions.Locker.
func (i *issuer) Lock(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return i.write(ctx, id, change{
		doing: "locking the key", reached: func(k leak.Key) bool { return k.Locked },
		send: func(headers map[string]string) (*core.DetailedResponse, error) {
			return i.service.LockAPIKeyWithContext(ctx, i.service.NewLockAPIKeyOptions(id).SetHeaders(headers))
		},
	})
}

// Unlock implements dispositions.Locker.
func (i *issuer) Unlock(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return i.write(ctx, id, change{
		doing: "unlocking the key", reached: func(k leak.Key) bool { return !k.Locked },
		send: func(headers map[string]string) (*core.DetailedResponse, error) {
			return i.service.UnlockAPIKeyWithContext(ctx, i.service.NewUnlockAPIKeyOptions(id).SetHeaders(headers))
		},
	})
}

// change is one kind of write.
type change struct {
	doing   string
	minds   bool                // whether a lock keeps it from happening
	reached func(leak.Key) bool // whether a key is already as the change would make it
	send    func(headers map[string]string) (*core.DetailedResponse, error)
}

// write makes a change, unless the key is one of ours.
func (i *issuer) write(ctx context.Context, id string, c change) error {
	if err := checkID(id); err != nil {
		return err
	}
	if _, err := i.own.identity(ctx); err != nil {
		return err
	}
	if i.own.has(id) {
		return fmt.Errorf("%s: %w", c.doing, errOwn)
	}
	err := i.call(ctx, c.doing, c.send)
	var r *refusal
	if errors.As(err, &r) && r.byState() {
		return i.explain(ctx, id, c, err)
	}
	return err
}

// explain reads a key again whose change was refused with a status that has several meanings: it is not established
// which of them IAM chooses for a locked key, or for one that is already as the change would make it.
func (i *issuer) explain(ctx context.Context, id string, c change, refused error) error {
	key, err := i.read(ctx, id)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return err
	case err != nil:
		return refused
	case c.reached(key):
		return nil
	case c.minds && key.Locked:
		return fmt.Errorf("%s: %w", c.doing, leak.ErrLocked)
	}
	return refused
}

// details looks a key up by its value.
func (i *issuer) details(ctx context.Context, doing string, secret leak.Secret) (found *iam.APIKey, err error) {
	value := secret.Reveal()
	if !sendable(value) {
		return nil, fmt.Errorf("%s: %w", doing, errUnsendable)
	}
	err = i.call(ctx, doing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		options := i.service.NewGetAPIKeysDetailsOptions().SetIamAPIKey(value).SetHeaders(headers)
		found, response, err = i.service.GetAPIKeysDetailsWithContext(ctx, options)
		return response, err
	})
	return found, err
}

// get looks a key up by its id.
func (i *issuer) get(ctx context.Context, doing, id string, activity bool) (found *iam.APIKey, err error) {
	err = i.call(ctx, doing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		options := i.service.NewGetAPIKeyOptions(id).SetHeaders(headers)
		if activity {
			options.SetIncludeActivity(true)
		}
		found, response, err = i.service.GetAPIKeyWithContext(ctx, options)
		return response, err
	})
	return found, err
}

// establish decides what a refused lookup means: "400, API key not found" and 403 may be about the leaked key, or about the key
// behind our own token. Only when IAM, asked the same way, still shows us our own key, it is about the leaked one.
func (i *issuer) establish(ctx context.Context, refused error) error {
	switch _, err := i.details(ctx, "looking up our own key", i.tokens.key); {
	case err == nil && forbids(refused):
		return fmt.Errorf("locating the key: IAM answers 403: %w", leak.ErrNotVisible)
	case err == nil:
		return fmt.Errorf("locating the key: %w", leak.ErrNotFound)
	case saysUnknownValue(err):
		return fmt.Errorf("looking up our own key: %w", leak.ErrCredential)
	case errors.Is(err, leak.ErrCredential):
		return err
	}
	return refused
}

// use asks how a key was used; zero: never, or IAM does not say in time.
func (i *issuer) use(ctx context.Context, id string) leak.Activity {
	ctx, cancel := context.WithTimeout(ctx, activityTimeout)
	defer cancel()
	used, err := i.activity(ctx, id)
	if err != nil {
		i.log.DebugContext(ctx, "the use of a key is not known", "key_id", id, "err", err)
	}
	return used
}

// activityOf reads what IAM says of a key's use.
func activityOf(found *iam.APIKey) (leak.Activity, error) {
	if found == nil || found.Activity == nil {
		return leak.Activity{}, fmt.Errorf("reading the key's activity: %w", errUnreadable)
	}
	return leak.Activity{
		Known: true, LastAt: parseTime(value(found.Activity.LastAuthn)), Count: value(found.Activity.AuthnCount),
	}, nil
}

// call sends one request with a token. A token that is refused is dropped, and the request sent once more with a new
// one: 401 means that nothing was done.
func (i *issuer) call(
	ctx context.Context, doing string, send func(headers map[string]string) (*core.DetailedResponse, error),
) error {
	for again := true; ; again = false {
		token, err := i.tokens.get(ctx)
		if err != nil {
			return err
		}
		response, err := send(map[string]string{"Authorization": "Bearer " + token.Reveal()})
		if err == nil {
			return nil
		}
		if !again || response == nil || response.StatusCode != http.StatusUnauthorized {
			return classify(ctx, doing, response, err)
		}
		i.tokens.drop(token)
	}
}

func checkID(id string) error {
	if !keyID.MatchString(id) {
		return errInvalidID
	}
	return nil
}

// sendable reports whether a value can be sent as a header without being changed into another, or into none.
func sendable(value string) bool {
	return strings.TrimSpace(value) == value && value != "" &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}
