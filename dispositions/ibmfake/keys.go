package ibmfake

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// minute is how IAM writes times.
const minute = "2006-01-02T15:04-0700"

// maxHistory is how many changes of a key are remembered.
const maxHistory = 100

// Key is an API key as a test adds it and reads it back.
type Key struct {
	ID          string `json:"id"` // empty: made up
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	IAMID       string `json:"iam_id"`     // whose key it is; empty: a user made up
	Account     string `json:"account_id"` // empty: Account
	// Setting is what a leak does: none, disable or delete; empty: nobody chose, see Switches.Unset.
	Setting  string `json:"action_when_leaked"`
	Locked   bool   `json:"locked"`
	Disabled bool   `json:"disabled"`
	// OwnerState is how the user stands whose key it is: OwnerInactive or OwnerSuspended, who get no token; empty: as usual.
	OwnerState string `json:"owner_state,omitempty"`
	// Administrator lets the key's tokens see and change every key; others see those of their own identity.
	Administrator bool `json:"administrator"`
	// StoreValue makes reads of the key answer its value, as IAM does for some service ID keys.
	StoreValue bool        `json:"store_value"`
	CreatedBy  string      `json:"created_by"` // IAM id of who made it; empty: somebody
	ExpiresAt  time.Time   `json:"expires_at,omitzero"`
	Value      leak.Secret `json:"-"` // empty: made up
}

// The states of a user that keep the token endpoint from taking the user's keys, disabled or not, each with a code of its own.
const (
	OwnerInactive  = "inactive"  // BXNIM0410E
	OwnerSuspended = "suspended" // BXNIM0436E, with 401
)

// key is one key of the fake. A write replaces it, so that it can reach one view and not the other.
type key struct {
	Key
	value     string
	tag       int
	createdAt time.Time
	createdBy string
	modified  time.Time
	history   []historyRecord
	authns    int
	lastAuthn time.Time
	hidden    int // how many lookups still find nothing
}

type historyRecord struct {
	Timestamp    string   `json:"timestamp"`
	IAMID        string   `json:"iam_id"`
	IAMIDAccount string   `json:"iam_id_account"`
	Action       string   `json:"action"`
	Params       []string `json:"params"`
	Message      string   `json:"message"`
}

// AddKey adds a key, fills in what is empty, and returns its id and value.
func (f *Fake) AddKey(k Key) (id string, value leak.Secret) {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := f.put(k, k.Value.Reveal(), cmp.Or(k.CreatedBy, "IBMid-110000FAKE"))
	return added.ID, leak.NewSecret(added.value)
}

// put makes up what is empty and stores a key in both views.
func (f *Fake) put(k Key, value, by string) *key {
	k.ID = cmp.Or(k.ID, "ApiKey-"+vendorfake.UUID())
	k.IAMID = cmp.Or(k.IAMID, "IBMid-"+strings.ToUpper(vendorfake.Random(5)))
	k.Account = cmp.Or(k.Account, Account)
	k.Value = leak.Secret{}
	added := &key{Key: k, value: cmp.Or(value, newValue()), createdBy: by, createdAt: f.now(), modified: f.now(), tag: 1}
	added.history = []historyRecord{f.happened(by, k.Account, "CREATE")}
	f.byID[k.ID], f.byValue[added.value] = added, added
	return added
}

// Key returns a key as it is, by id; false: there is none.
func (f *Fake) Key(id string) (Key, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.byID[id]
	if !ok {
		return Key{}, false
	}
	return k.Key, true
}

// Keys returns every key that is not deleted, in the order of their ids.
func (f *Fake) Keys() []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := make([]Key, 0, len(f.byID))
	for _, k := range f.byID {
		keys = append(keys, k.Key)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	return keys
}

// Act changes a key as IBM itself may, whose own feed can be faster than ours: op is disable, enable, lock, unlock or
// delete. It reports whether there is such a key. It is not in the journal.
func (f *Fake) Act(op, id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.byID[id]
	if ok {
		f.change(k, op, "iam-ServiceId-ibm-leaked-keys", "")
	}
	return ok
}

// change writes to a key in the views that half leaves, and reports whether that changed its state. The
// history says who asked.
func (f *Fake) change(k *key, op, by, half string) bool {
	next := *k
	switch op {
	case "disable", "enable":
		next.Disabled = op == "disable"
	case "lock", "unlock":
		next.Locked = op == "lock"
	}
	changed := !reflect.DeepEqual(next.Key, k.Key)
	if op == "delete" {
		f.drop(k, half)
		return true
	}
	f.replace(k, &next, op, by, half)
	return changed
}

// replace stores the next version of a key.
func (f *Fake) replace(k, next *key, op, by, half string) {
	next.tag, next.modified = k.tag+1, f.now()
	kept := k.history[max(0, len(k.history)+1-maxHistory):]
	next.history = append(slices.Clone(kept), f.happened(by, k.Account, strings.ToUpper(op)))
	if half != ByValue {
		f.byID[k.ID] = next
	}
	if half != ByID {
		f.byValue[k.value] = next
	}
}

func (f *Fake) drop(k *key, half string) {
	if half != ByValue {
		delete(f.byID, k.ID)
	}
	if half != ByID {
		delete(f.byValue, k.value)
	}
}

func (f *Fake) happened(by, account, action string) historyRecord {
	return historyRecord{
		Timestamp: f.now().UTC().Format(minute), IAMID: by, IAMIDAccount: account, Action: action, Params: []string{},
		Message: fmt.Sprintf("%s by %s", action, by),
	}
}

func (k *key) expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

func (k *key) entityTag() string {
	return fmt.Sprintf("%d-%s", k.tag, strings.ReplaceAll(strings.TrimPrefix(k.ID, "ApiKey-"), "-", ""))
}

// newValue makes up a key's value that looks like IAM's: 44 characters of [A-Za-z0-9_-].
func newValue() string {
	data := make([]byte, 33)
	_, _ = rand.Read(data) // it never fails
	return base64.RawURLEncoding.EncodeToString(data)
}

func transactionID() string { return vendorfake.Random(8) }
