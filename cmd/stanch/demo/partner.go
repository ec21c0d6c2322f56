package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
)

// sample is a leaked key of the demo, and how it has to end.
type sample struct {
	what   string // what is said of it
	key    ibmfake.Key
	state  leak.State
	action leak.Action
	alive  bool // at the issuer, afterwards

	value leak.Secret
}

func samples() []*sample {
	key := func(name, setting string) ibmfake.Key { return ibmfake.Key{Name: name, Setting: setting} }
	locked, disabled := key("billing-export", "delete"), key("old-laptop", "disable")
	locked.Locked, disabled.Disabled = true, true
	return []*sample{
		{what: "set to disable", key: key("ci-deploy", "disable"), state: leak.Contained, action: leak.Disable},
		{what: "set to delete", key: key("load-test", "delete"), state: leak.Contained, action: leak.Delete},
		{what: "set to none", key: key("docs-search", "none"), state: leak.Left, action: leak.Nothing, alive: true},
		{what: "not set at all", key: key("intern-2024", ""), state: leak.Contained, action: leak.Disable},
		{what: "locked", key: locked, state: leak.Failed, action: leak.Delete, alive: true},
		{what: "disabled already", key: disabled, state: leak.Contained, action: leak.Disable},
		{what: "known to nobody", state: leak.Unknown, action: leak.Nothing},
	}
}

// forge posts a delivery that is signed with a key that GitHub does not publish.
func (d *demonstration) forge(ctx context.Context) error {
	stranger, err := feedfake.NewSigner()
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	body := d.delivery()
	_, signature := stranger.Sign(body)
	header := d.signer.GitHubHeader(body)
	header.Set("Github-Public-Key-Signature", signature)
	status, err := d.post(ctx, body, header)
	if err != nil {
		return err
	}
	d.say("a forged delivery: answered %d, nothing of it parsed or stored", status)
	if status != http.StatusUnauthorized {
		return fmt.Errorf("the forged delivery was answered %d", status)
	}
	return nil
}

// delivery is what GitHub posts to a partner whose keys leaked.
func (d *demonstration) delivery() []byte {
	type record struct {
		Token  string `json:"token"`
		Type   string `json:"type"`
		URL    string `json:"url"`
		Source string `json:"source"`
	}
	var records []record
	for i, s := range d.samples {
		url := fmt.Sprintf("https://github.com/example/app-%d/blob/main/.env", i+1)
		records = append(records, record{s.value.Reveal(), "ibm_cloud_iam_key", url, "commit"})
	}
	body, _ := json.Marshal(records) // strings always marshal
	return body
}

// post delivers a body; a nil header is GitHub's own signature.
func (d *demonstration) post(ctx context.Context, body []byte, header http.Header) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.public+"/hooks/github", bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("making a delivery: %w", err)
	}
	if header == nil {
		header = d.signer.GitHubHeader(body)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("posting a delivery: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}
