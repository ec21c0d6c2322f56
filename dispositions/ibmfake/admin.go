package ibmfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"stanch/receiver/leak"
)

// newKey is a key with its value in clear, which [Key] never encodes.
type newKey struct {
	Key
	PlainValue string `json:"value"`
}

// adminRoutes is how another process drives the fake. Bodies and answers are the JSON of what the methods take and
// return:
//
//	GET    /_fake/keys            []Key
//	POST   /_fake/keys            []Key, each with "value" if it must not be made up -> []{"id", "value"}
//	POST   /_fake/keys/{id}/{op}  204: as IBM itself, see Act; 404: no such key
//	POST   /_fake/serviceids      {"name", "account_id"} -> {"id", "iam_id"}
//	GET    /_fake/journal         []Event
//	GET    /_fake/requests        {"METHOD /path": count}
//	GET    /_fake/positions       []Switches
//	GET    /_fake/switches        Switches; PUT sets them
//	POST   /_fake/faults          Fault; DELETE removes every fault
//	DELETE /_fake/tokens          makes every token invalid
func (f *Fake) adminRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	reads := map[string]func() any{
		"keys":      func() any { return f.Keys() },
		"journal":   func() any { return f.Journal() },
		"requests":  func() any { return f.Requests() },
		"switches":  func() any { return f.Switches() },
		"positions": func() any { return Positions() },
	}
	for name, read := range reads {
		mux.HandleFunc("GET /_fake/"+name, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, read()) })
	}
	mux.HandleFunc("POST /_fake/keys", f.adminAddKeys)
	mux.HandleFunc("POST /_fake/keys/{id}/{op}", f.adminAct)
	mux.HandleFunc("POST /_fake/serviceids", f.adminAddService)
	mux.HandleFunc("PUT /_fake/switches", func(w http.ResponseWriter, r *http.Request) { set(w, r, f.SetSwitches) })
	mux.HandleFunc("POST /_fake/faults", func(w http.ResponseWriter, r *http.Request) { set(w, r, f.AddFault) })
	mux.HandleFunc("DELETE /_fake/faults", func(w http.ResponseWriter, _ *http.Request) { done(w, f.ClearFaults) })
	mux.HandleFunc("DELETE /_fake/tokens", func(w http.ResponseWriter, _ *http.Request) { done(w, f.RevokeTokens) })
	return mux
}

func (f *Fake) adminAddKeys(w http.ResponseWriter, r *http.Request) {
	var keys []newKey
	if !readJSON(w, r, &keys) {
		return
	}
	added := make([]Added, 0, len(keys))
	for _, k := range keys {
		k.Value = leak.NewSecret(k.PlainValue)
		id, value := f.AddKey(k.Key)
		added = append(added, Added{ID: id, Value: value.Reveal()})
	}
	writeJSON(w, added)
}

func (f *Fake) adminAct(w http.ResponseWriter, r *http.Request) {
	if !f.Act(r.PathValue("op"), r.PathValue("id")) {
		http.Error(w, "no such key", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *Fake) adminAddService(w http.ResponseWriter, r *http.Request) {
	var s struct {
		Name    string `json:"name"`
		Account string `json:"account_id"`
	}
	if !readJSON(w, r, &s) {
		return
	}
	id, iamID := f.AddServiceID(s.Name, s.Account)
	writeJSON(w, map[string]string{"id": id, "iam_id": iamID})
}

// set reads a body and hands it to a setter.
func set[T any](w http.ResponseWriter, r *http.Request, setter func(T)) {
	var value T
	if readJSON(w, r, &value) {
		done(w, func() { setter(value) })
	}
}

func done(w http.ResponseWriter, do func()) {
	do()
	w.WriteHeader(http.StatusNoContent)
}

// readJSON decodes one value strictly, or answers 400 and reports false.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.Decode(new(any)) != io.EOF {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a reader that went away needs no answer
}

// Client drives a fake that another process serves. Its methods are those of [Fake].
type Client struct {
	// URL is the fake's.
	URL string
}

// Added is a key that the fake has made, its value in clear.
type Added struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// AddKeys adds keys in one call and returns their ids and values in the same order.
func (c *Client) AddKeys(keys ...Key) ([]Added, error) {
	body := make([]newKey, 0, len(keys))
	for _, k := range keys {
		body = append(body, newKey{Key: k, PlainValue: k.Value.Reveal()})
	}
	var added []Added
	err := c.do(http.MethodPost, "keys", body, &added)
	return added, err
}

// Keys returns every key that is not deleted, in the order of their ids.
func (c *Client) Keys() ([]Key, error) {
	var keys []Key
	err := c.do(http.MethodGet, "keys", nil, &keys)
	return keys, err
}

// Journal returns every call that asked for an effect, oldest first.
func (c *Client) Journal() ([]Event, error) {
	var events []Event
	err := c.do(http.MethodGet, "journal", nil, &events)
	return events, err
}

// SetSwitches changes the positions; zero fields are set to their defaults.
func (c *Client) SetSwitches(s Switches) error { return c.do(http.MethodPut, "switches", s, nil) }

// AddFault adds a fault, which the calls that it matches will meet.
func (c *Client) AddFault(f Fault) error { return c.do(http.MethodPost, "faults", f, nil) }

// ClearFaults removes every fault.
func (c *Client) ClearFaults() error { return c.do(http.MethodDelete, "faults", nil, nil) }

// do sends a body, unless it is nil, and decodes the answer, unless into is nil.
func (c *Client) do(method, name string, body, into any) error {
	var buffer bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&buffer).Encode(body); err != nil {
			return fmt.Errorf("encoding the body: %w", err)
		}
	}
	request, err := http.NewRequest(method, c.URL+"/_fake/"+name, &buffer)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the fake: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= 300 {
		return fmt.Errorf("the fake answers %d to %s %s", response.StatusCode, method, name)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
