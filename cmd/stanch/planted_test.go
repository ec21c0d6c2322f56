package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
)

func secret(value string) leak.Secret { return leak.NewSecret(value) }

// planted are the forms in which a planted token would show: as it is, and encoded.
func planted() []string {
	forms := []string{plant, strings.ToUpper(plant), hex.EncodeToString([]byte(plant)), url.QueryEscape("@" + plant)}
	for skip := range 3 { // base64 has three alignments
		text := strings.Repeat("x", skip) + plant
		encoded := base64.RawStdEncoding.EncodeToString([]byte(text))
		first := (skip*8 + 5) / 6
		forms = append(forms, encoded[first:len(encoded)-1])
	}
	return forms
}

func wantNot(t testing.TB, where, text string) {
	t.Helper()
	for _, form := range planted() {
		if at := strings.Index(text, form); at >= 0 {
			t.Errorf("%s holds a planted token: ...%q...", where, text[max(0, at-80):min(len(text), at+20)])
			return
		}
	}
}

// wantNothingPlanted looks for planted tokens in everything that the site wrote, printed and answers.
func (s *site) wantNothingPlanted() {
	s.t.Helper()
	wantNot(s.t, "log or notice", s.output.String())
	wantNot(s.t, "/metrics", s.get("/metrics"))
	wantNot(s.t, "/api/v1/incidents", s.get("/api/v1/incidents"))
	files := 0
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running store writes its state beside the old one, and renames it
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		wantNot(s.t, path, string(data))
		return nil
	})
	if err != nil || files < 10 {
		s.t.Errorf("looked into %d files, %v", files, err)
	}
}

// TestNoTokenInClear sends tokens along every path that a token can take, wrong ones first of all, and looks for them in
// store, logs, metrics, notices, traces, dead letters and answers. So that the search itself is known to work, it must find one
// that is written in clear.
func TestNoTokenInClear(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	c := newCollector(t)
	s.traceTo(c.URL, "OTEL_EXPORTER_OTLP_HEADERS=planted-broken,authorization=planted-header")
	keys := s.population(14)
	s.start()
	stranger, err := feedfake.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	deliveries := map[string]struct {
		body   string
		header func(body []byte) http.Header
		want   int
	}{
		"unsigned":       {`[{"token":"planted-1"}]`, func([]byte) http.Header { return http.Header{} }, 401},
		"forged":         {`[{"token":"planted-2"}]`, stranger.GitHubHeader, 0},
		"not base64":     {`[{"token":"planted-3"}]`, s.spoiled("planted-signature"), 401},
		"not DER":        {`[{"token":"planted-4"}]`, s.spoiled(base64.StdEncoding.EncodeToString([]byte("planted-"))), 401},
		"not the format": {`{"token":"planted-5"}`, s.signer.GitHubHeader, 400},
		"not JSON":       {`planted-6`, s.signer.GitHubHeader, 400},
		"cut":            {`[{"token":"planted-7"`, s.signer.GitHubHeader, 400},
		"wrong types":    {`[{"token":["planted-8"]},{"token":8,"type":"planted-8"},"planted-8"]`, s.signer.GitHubHeader, 204},
		"twice a field":  {`[{"token":"planted-9","token":"planted-9b"}]`, s.signer.GitHubHeader, 204},
		"a MiB":          {`[{"token":"planted-` + strings.Repeat("planted-", 1<<17) + `"}]`, s.signer.GitHubHeader, 204},
		"unknown type":   {`[{"token":"planted-10","type":"other_type","url":"https://x/where"}]`, s.signer.GitHubHeader, 204},
		"not UTF-8":      {"[{\"token\":\"planted-\xff\"}]", s.signer.GitHubHeader, 204},
		"empty token":    {`[{"token":"","type":"planted-11"}]`, s.signer.GitHubHeader, 204},
	}
	for name, d := range deliveries {
		status, answer := s.postBody([]byte(d.body), d.header([]byte(d.body)))
		if d.want != 0 && status != d.want || status == 0 {
			t.Errorf("%s: answered %d, want %d", name, status, d.want)
		}
		wantNot(t, "the answer to "+name, answer)
	}
	var records []record
	for _, k := range keys {
		records = append(records, k.record())
	}
	if status := s.post(records); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	s.waitSettled(len(keys) + 1)
	for _, i := range s.incidents() {
		out, err := s.command("incidents", "show", i.ID)
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if i.State != "unknown" {
			wantNot(t, "incidents show", out)
		}
	}
	s.iam.AddFault(ibmfake.Fault{Times: 3, Status: 500, Body: keys[0].key.Value.Reveal()})
	s.post([]record{{keys[0].key.Value.Reveal(), "ibm_cloud_iam_key", "https://example.com/again", "wiki_content"}})
	s.waitFor("the queues empty", s.idle)
	if gauge(s.get("/metrics"), "stanch_dead_letters") == 0 {
		t.Error("no dead letter was made")
	}
	s.wantNothingPlanted()
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	spans, text := c.kept()
	if len(named(spans, "reconcile")) < len(keys) {
		t.Errorf("only %d spans were sent", len(spans))
	}
	wantNot(t, "a trace", text)
	s.wantNothingPlantedInFiles()
}

// spoiled signs with this signature.
func (s *site) spoiled(signature string) func(body []byte) http.Header {
	return func(body []byte) http.Header {
		header := s.signer.GitHubHeader(body)
		header.Set("Github-Public-Key-Signature", signature)
		return header
	}
}

// wantNothingPlantedInFiles also proves that the search works.
func (s *site) wantNothingPlantedInFiles() {
	s.t.Helper()
	found := &testing.T{}
	wantNot(found, "control", "...planted-...")
	if !found.Failed() {
		s.t.Error("the search does not find what is there")
	}
	control, err := json.Marshal([]byte("xx" + plant))
	if err != nil {
		s.t.Fatal(err)
	}
	found = &testing.T{}
	wantNot(found, "control", string(control))
	if !found.Failed() {
		s.t.Error("the search does not find base64")
	}
}
