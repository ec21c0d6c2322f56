package ibmfake

import (
	"net/http"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

// credential is one service credential, as the resource controller keeps it: made with a service ID and an API key.
type credential struct {
	guid, name, key string
	redacted        bool // its content is not shown
}

type wireCredential struct {
	ID          string            `json:"id"`
	GUID        string            `json:"guid"`
	Name        string            `json:"name"`
	State       string            `json:"state"`
	AccountID   string            `json:"account_id"`
	Credentials map[string]string `json:"credentials"`
}

// AddCredential adds a service credential and the API key that belongs to it, and returns the ids of both. Of the key, only
// the setting, the locks and the value count. If it is redacted, the controller does not show what it holds.
func (f *Fake) AddCredential(name string, k Key, redacted bool) (guid, keyID string) {
	guid = vendorfake.UUID()
	_, k.IAMID = f.AddServiceID("auto-generated-serviceId-"+guid, k.Account)
	k.Name = "auto-generated-apikey-" + guid
	keyID, _ = f.AddKey(k)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.credentials[guid] = &credential{guid: guid, name: name, key: keyID, redacted: redacted}
	return guid, keyID
}

// Credential reports whether there is a service credential of an id.
func (f *Fake) Credential(guid string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.credentials[guid] != nil
}

// readCredential is GET /v2/resource_keys/{id}.
func (f *Fake) readCredential(c *call) answer {
	found, no := f.findCredential(c)
	if no != nil {
		return *no
	}
	w := wireCredential{ID: found.guid, GUID: found.guid, Name: found.name, State: "active", Credentials: map[string]string{}}
	if k := f.byID[found.key]; k != nil {
		w.AccountID = k.Account
		w.Credentials["apikey"], w.Credentials["iam_apikey_name"] = k.value, k.Name
		w.Credentials["iam_serviceid_crn"] = "crn:v1:bluemix:public:iam-identity::a/" + k.Account + "::serviceid:" + strings.TrimPrefix(k.IAMID, "iam-")
	}
	if found.redacted {
		w.Credentials = map[string]string{"REDACTED": "REDACTED"}
	}
	return answer{Status: http.StatusOK, Body: w}
}

// deleteCredential is DELETE /v2/resource_keys/{id}. The API key goes with it.
func (f *Fake) deleteCredential(c *call) answer {
	found, no := f.findCredential(c)
	if no != nil {
		return *no
	}
	delete(f.credentials, found.guid)
	if k := f.byID[found.key]; k != nil {
		f.change(k, "delete", c.grant.iamID, "")
	}
	c.changed = true
	return answer{Status: http.StatusNoContent}
}

// findCredential returns the credential that a call names, or the answer instead.
func (f *Fake) findCredential(c *call) (*credential, *answer) {
	found := f.credentials[c.op.id]
	status, text := http.StatusNotFound, "Not found"
	switch {
	case !c.grant.administrator:
		status, text = http.StatusForbidden, "Forbidden"
	case found != nil:
		return found, nil
	}
	body := map[string]any{"message": text, "status_code": status, "transaction_id": transactionID()}
	return nil, &answer{Status: status, Body: body}
}
