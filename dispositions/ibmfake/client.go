package ibmfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

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

// AddFault puts a fault in front of the calls that it matches.
func (c *Client) AddFault(f Fault) error { return c.do(http.MethodPost, "faults", f, nil) }

// ClearFaults takes every fault away.
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
