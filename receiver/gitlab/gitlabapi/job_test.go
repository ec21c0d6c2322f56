package gitlabapi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// scan runs secret detection in Acme/Shop, and returns the ref of its job.
func (w *world) scan(s gitlabfake.Scan) string {
	s.Project = "Acme/Shop"
	return fmt.Sprintf("acme/shop/-/jobs/%d", w.Scan(s).Job)
}

func TestFetchJob(t *testing.T) {
	for _, extract := range []string{"secret", "absent", "url"} {
		w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{Extract: extract}})
		other := leak.NewSecret("acme_other_0123456789")
		job := w.scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{{Secret: plantedToken}, {Secret: other, File: "y"}}})
		found, err := w.vendor.Fetch(t.Context(), job)
		if err != nil || len(found) != 2 {
			t.Fatalf("extract %s: got %d contents and error %v, want 2", extract, len(found), err)
		}
		if !found[0].Secret.Equal(plantedToken) || !found[1].Secret.Equal(other) {
			t.Errorf("extract %s: the contents do not hold the secrets", extract)
		}
		for _, c := range found {
			if c.Type != "gitleaks_rule_id_acme_api_key" || c.Place != "commit" || c.Ref != "" ||
				!strings.HasPrefix(c.URL, w.URL()+"/acme/shop/-/blob/") {
				t.Errorf("extract %s: got %+v", extract, c)
			}
		}
		w.silent(t)
	}
}

// TestFetchJobEnds: what a job leaves behind, and what that means.
func TestFetchJobEnds(t *testing.T) {
	for name, row := range map[string]struct {
		scan gitlabfake.Scan
		want error
		says string
	}{
		"nothing found":   {gitlabfake.Scan{}, nil, ""},
		"not offered":     {gitlabfake.Scan{Unlisted: true}, collect.ErrRefused, "artifacts:paths"},
		"expired":         {gitlabfake.Scan{Expired: true}, collect.ErrGone, "no report"},
		"failed, but has": {gitlabfake.Scan{Status: "failed"}, nil, ""},
	} {
		w := newWorld(t, gitlabfake.Options{})
		found, err := w.vendor.Fetch(t.Context(), w.scan(row.scan))
		if !errors.Is(err, row.want) || len(found) > 0 {
			t.Errorf("%s: got %d contents and error %v, want none and %v", name, len(found), err, row.want)
		}
		if err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %q does not say %q", name, err, row.says)
		}
	}
}

// TestFetchJobPartly: a finding whose secret cannot be told does not keep the others; without others, somebody must look.
func TestFetchJobPartly(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{Extract: "absent"}})
	short := gitlabfake.Vulnerability{Secret: leak.NewSecret("hunter2"), File: "y"}
	found, err := w.vendor.Fetch(t.Context(), w.scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{short, {Secret: plantedToken}}}))
	if err != nil || len(found) != 1 || !found[0].Secret.Equal(plantedToken) {
		t.Errorf("got %d contents and error %v, want the one that can be told", len(found), err)
	}
	if !strings.Contains(w.log.String(), "findings=1") {
		t.Errorf("the log does not tell of the other: %q", w.log)
	}
	_, err = w.vendor.Fetch(t.Context(), w.scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{short}}))
	if !errors.Is(err, collect.ErrNoSecret) {
		t.Errorf("got %v, want ErrNoSecret", err)
	}
	w.silent(t)
}

// TestFetchJobOddReports: a malformed report says nothing about leaks, and certainly not that there are none.
func TestFetchJobOddReports(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[]", `{"vulnerabilities":null}`, `{"vulnerabilities":[{`, plainPage} {
		w := newWorld(t, gitlabfake.Options{})
		job := w.scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{{Secret: plantedToken}}})
		w.answer(gitlabfake.GetArtifact, body)
		if found, err := w.vendor.Fetch(t.Context(), job); err == nil || errors.Is(err, collect.ErrGone) {
			t.Errorf("%q: got %d contents and error %v, want an unresolved error", body, len(found), err)
		}
	}
}

// TestJobIsNotClosed: nobody is asked to resolve a job.
func TestJobIsNotClosed(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	if err := w.vendor.Resolve(t.Context(), "acme/shop/-/jobs/1", "dead"); !errors.Is(err, collect.ErrRefused) {
		t.Errorf("Resolve: got %v, want ErrRefused", err)
	}
	if err := w.vendor.Reopen(t.Context(), "acme/shop/-/jobs/1", "alive"); !errors.Is(err, collect.ErrRefused) {
		t.Errorf("Reopen: got %v, want ErrRefused", err)
	}
	if n := w.Count("", "", 0); n > 0 {
		t.Errorf("got %d calls, want none", n)
	}
}
