package ibmfake

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// wireKey is an API key as IAM answers it.
type wireKey struct {
	Context          map[string]string `json:"context"`
	ID               string            `json:"id"`
	EntityTag        string            `json:"entity_tag"`
	CRN              string            `json:"crn"`
	Locked           bool              `json:"locked"`
	Disabled         bool              `json:"disabled"`
	CreatedAt        string            `json:"created_at"`
	CreatedBy        string            `json:"created_by"`
	ModifiedAt       string            `json:"modified_at"`
	Name             string            `json:"name"`
	SupportSessions  bool              `json:"support_sessions"`
	ActionWhenLeaked string            `json:"action_when_leaked,omitempty"`
	ExpiresAt        string            `json:"expires_at,omitempty"`
	Description      string            `json:"description,omitempty"`
	IAMID            string            `json:"iam_id"`
	AccountID        string            `json:"account_id"`
	Apikey           string            `json:"apikey,omitempty"`
	History          []historyRecord   `json:"history,omitempty"`
	Activity         *activity         `json:"activity,omitempty"`
}

type activity struct {
	LastAuthn  string `json:"last_authn,omitempty"`
	AuthnCount int    `json:"authn_count"`
}

// show writes a key as the query of a call asks for it.
func (f *Fake) show(c *call, k *key) wireKey {
	w := wireKey{
		Context: map[string]string{"transaction_id": transactionID()},
		ID:      k.ID, EntityTag: k.entityTag(), Locked: k.Locked, Disabled: k.Disabled,
		CRN:       "crn:v1:bluemix:public:iam-identity::a/" + k.Account + "::apikey:" + k.ID,
		CreatedAt: k.createdAt.UTC().Format(minute), CreatedBy: k.createdBy,
		ModifiedAt: k.modified.UTC().Format(minute), Name: k.Name, Description: k.Description,
		ActionWhenLeaked: f.setting(k), IAMID: k.IAMID, AccountID: k.Account,
	}
	if !k.ExpiresAt.IsZero() {
		w.ExpiresAt = k.ExpiresAt.UTC().Format(minute)
	}
	if k.StoreValue {
		w.Apikey = k.value
	}
	query := c.request.URL.Query()
	if flag(query.Get("include_history")) {
		w.History = k.history
	}
	if flag(query.Get("include_activity")) {
		w.Activity = k.activity()
	}
	return w
}

func (k *key) activity() *activity {
	a := &activity{AuthnCount: k.authns}
	if !k.lastAuthn.IsZero() {
		a.LastAuthn = k.lastAuthn.UTC().Format(minute)
	}
	return a
}

// setting is what a key answers for action_when_leaked.
func (f *Fake) setting(k *key) string {
	switch {
	case k.Setting != "":
		return k.Setting
	case f.Switches().Unset == "absent":
		return ""
	}
	return f.Switches().Unset
}

// details is GET /v1/apikeys/details.
func (f *Fake) details(c *call) answer {
	value := c.request.Header.Get("IAM-ApiKey")
	if value == "" {
		return f.badRequest("Header 'IAM-ApiKey' either missing or empty.")
	}
	k, ok := f.byValue[value]
	known := ok && !k.fresh()
	switch {
	case !known && f.Switches().Unknown == http.StatusBadRequest:
		return unknownValue(value)
	case !known:
		return f.notFound("ApiKey", "unknown")
	case !c.may(k.IAMID):
		return f.forbidden()
	}
	return answer{Status: http.StatusOK, Body: f.show(c, k)}
}

// find returns the key that a call names by id, or the answer instead.
func (f *Fake) find(c *call) (*key, *answer) {
	k, ok := f.byID[c.op.id]
	var no answer
	switch {
	case !ok:
		no = f.notFound("ApiKey", c.op.id)
	case !c.may(k.IAMID):
		no = f.forbidden()
	default:
		return k, nil
	}
	return nil, &no
}

// readKey is GET /v1/apikeys/{id}.
func (f *Fake) readKey(c *call) answer {
	k, no := f.find(c)
	if no != nil {
		return *no
	}
	return answer{Status: http.StatusOK, Body: f.show(c, k), Header: map[string]string{"Etag": k.entityTag()}}
}

// write is everything that changes a key without a body.
func (f *Fake) write(op string) handler {
	return func(c *call) answer {
		k, no := f.find(c)
		if no != nil {
			return *no
		}
		if k.Locked && op != "lock" && op != "unlock" {
			return f.locked(k)
		}
		again := op == "disable" && k.Disabled || op == "delete" && k.expired(f.now())
		if again && f.Switches().Again == http.StatusConflict {
			return f.conflict(http.StatusConflict, k)
		}
		c.changed = f.change(k, op, c.grant.iamID, c.half)
		return answer{Status: http.StatusNoContent}
	}
}

func (f *Fake) locked(k *key) answer { return f.conflict(f.Switches().Locked, k) }

func (f *Fake) conflict(status int, k *key) answer {
	return f.refuse(status, "delete_not_possible", "BXNIM0105E", "Unable to delete object",
		"Object type 'ApiKey' with ID '"+k.ID+"' could not be deleted.")
}

// update is the body of POST and PUT; a field that is absent is not changed.
type update struct {
	Name             *string `json:"name"`
	Description      *string `json:"description"`
	ActionWhenLeaked *string `json:"action_when_leaked"`
	ExpiresAt        *string `json:"expires_at"`
	IAMID            string  `json:"iam_id"`
	AccountID        string  `json:"account_id"`
	Apikey           string  `json:"apikey"`
	StoreValue       bool    `json:"store_value"`
}

// readUpdate reads a body; details say what is wrong with it.
func readUpdate(body []byte) (u update, details string) {
	if err := json.Unmarshal(body, &u); err != nil {
		return u, "The body is not valid JSON."
	}
	if u.ActionWhenLeaked != nil && !strings.Contains(" none disable delete ", " "+*u.ActionWhenLeaked+" ") {
		return u, "Property 'action_when_leaked' must be one of none, disable, delete."
	}
	if u.ExpiresAt != nil {
		if _, err := parseExpiry(*u.ExpiresAt); err != nil {
			return u, "Property 'expires_at' is not a date."
		}
	}
	return u, ""
}

// apply copies what a body sets; readUpdate has checked it.
func (u update) apply(k *Key) {
	for field, value := range map[*string]*string{
		&k.Name: u.Name, &k.Description: u.Description, &k.Setting: u.ActionWhenLeaked,
	} {
		if value != nil {
			*field = *value
		}
	}
	if u.ExpiresAt != nil {
		k.ExpiresAt, _ = parseExpiry(*u.ExpiresAt)
	}
}

func parseExpiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(minute, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, errors.New("not a date")
}

// updateKey is PUT /v1/apikeys/{id}.
func (f *Fake) updateKey(c *call) answer {
	u, details := readUpdate(c.body)
	k, no := f.find(c)
	match := c.request.Header.Get("If-Match")
	switch {
	case no != nil:
		return *no
	case details != "" || match == "":
		return f.badRequest(details + "Header 'If-Match' is required.")
	case k.Locked:
		return f.locked(k)
	case match != "*" && match != k.entityTag():
		return f.refuse(f.Switches().Stale, "conflict", "BXNIM0110E", "The entity tag is stale", "")
	}
	next := *k
	u.apply(&next.Key)
	c.changed = !reflect.DeepEqual(next.Key, k.Key)
	f.replace(k, &next, "update", c.grant.iamID, c.half)
	return answer{Status: http.StatusOK, Body: f.show(c, &next), Header: map[string]string{"Etag": next.entityTag()}}
}

// createKey is POST /v1/apikeys.
func (f *Fake) createKey(c *call) answer {
	u, details := readUpdate(c.body)
	switch {
	case details != "":
		return f.badRequest(details)
	case u.Name == nil || *u.Name == "" || u.IAMID == "":
		return f.badRequest("Property 'name' or 'iam_id' either missing or empty.")
	case !c.may(u.IAMID):
		return f.forbidden()
	}
	k := Key{
		IAMID: u.IAMID, Account: u.AccountID, StoreValue: u.StoreValue,
		Locked: flag(c.request.Header.Get("Entity-Lock")), Disabled: flag(c.request.Header.Get("Entity-Disable")),
	}
	u.apply(&k)
	made := f.put(k, u.Apikey, c.grant.iamID)
	made.hidden = f.Switches().Fresh
	c.op.id, c.changed = made.ID, true
	shown := f.show(c, made)
	shown.Apikey = made.value
	return answer{Status: http.StatusCreated, Body: shown, Header: map[string]string{"Etag": made.entityTag()}}
}
