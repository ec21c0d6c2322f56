package gitlabapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/gitlabfake"
)

// opened lists what is open, until an error.
func (w *world) opened(ctx context.Context, since time.Time) (refs []string, err error) {
	for listed, problem := range w.vendor.Open(ctx, since) {
		if problem != nil {
			return refs, problem
		}
		refs = append(refs, listed.Ref)
	}
	return refs, nil
}

// TestOpen: the list holds the open secrets of the group and its subgroups, and nothing else.
func TestOpen(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	at := time.Now().Add(-time.Hour)
	add := func(project, report string, state gitlabfake.State) int64 {
		at = at.Add(time.Minute)
		return w.AddVulnerability(gitlabfake.Vulnerability{Project: project, ReportType: report, State: state, CreatedAt: at})
	}
	first := add("Acme/Shop", "", gitlabfake.Confirmed)
	add("Acme/Shop", "sast", "")
	add("Acme/Shop", "", gitlabfake.Resolved)
	add("globex/shop", "", "")
	add("acme-evil/shop", "", "")
	last := add("acme/shop", "", "")
	got, err := w.opened(t.Context(), time.Time{})
	if want := ref(last) + " " + ref(first); err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v and error %v, want %s", got, err, want)
	}
	got, err = w.opened(t.Context(), at)
	if err != nil || strings.Join(got, " ") != ref(last) {
		t.Errorf("got %v and error %v since the last one, want that", got, err)
	}
}

// TestOpenRefused: a missing list is not an empty one.
func TestOpenRefused(t *testing.T) {
	for name, row := range map[string]struct {
		token gitlabfake.Token
		says  string
	}{
		"no member": {gitlabfake.Token{Projects: []string{"globex/shop"}}, "does not see the group"},
		"reporter":  {gitlabfake.Token{Role: gitlabfake.Reporter}, "role Developer"},
		"no scope":  {gitlabfake.Token{Scopes: []string{"read_repository"}}, ""},
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.add(gitlabfake.Vulnerability{})
		w.config.TokenFile = writeFile(t, w.AddToken(row.token).Reveal())
		w.open(t)
		got, err := w.opened(t.Context(), time.Time{})
		if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: got %v and error %v, want ErrRefused that says %q", name, got, err, row.says)
		}
	}
}

// TestOpenOddAnswers: a malformed page does not end the list, and vulnerabilities of others are left out.
func TestOpenOddAnswers(t *testing.T) {
	const page = `{"data":{"group":{"vulnerabilities":{"nodes":[X],"pageInfo":{"endCursor":null,"hasNextPage":false}}}}}`
	for node, want := range map[string]int{
		`{"id":"gid://gitlab/Vulnerability/7","detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"acme/shop"}}`:   1,
		`{"id":"gid://gitlab/Vulnerability/7","detectedAt":null,"project":{"fullPath":"acme/shop"}}`:                     1,
		`{"id":"gid://gitlab/Vulnerability/7","detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"globex/shop"}}`: 0,
		`{"id":"gid://gitlab/Vulnerability/7","detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"acme/../x"}}`:   0,
		`{"id":"gid://gitlab/Vulnerability/-7","detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"acme/shop"}}`:  0,
		`{"id":"gid://gitlab/Vulnerability/7?x","detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"acme/shop"}}`: 0,
		`{"id":"gid://gitlab/Epic/7","detectedAt":"2026-01-02T03:04:05Z","project":null}`:                                0,
		`null`: 0, `{"id":"gid://gitlab/Vulnerability/7","project":{"fullPath":"acme/shop"}},{"id":""},` +
			`{"id":"gid://gitlab/Vulnerability/8","project":{"fullPath":"acme/shop"}}`: 2,
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.answer(gitlabfake.QueryGroup, strings.Replace(page, "X", node, 1))
		if got, err := w.opened(t.Context(), time.Time{}); err != nil || len(got) != want {
			t.Errorf("%s: got %v and error %v, want %d", node, got, err, want)
		}
	}
	for _, body := range []string{
		`{"data":{"group":{"vulnerabilities":{}}}}`, `{"data":{"group":{"vulnerabilities":{"nodes":null}}}}`, `{"data":"x"}`,
		`{"data":{"group":{"vulnerabilities":{"nodes":[]}}},"errors":[{"message":"Timeout"}]}`,
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.answer(gitlabfake.QueryGroup, body)
		if got, err := w.opened(t.Context(), time.Time{}); err == nil || errors.Is(err, collect.ErrRefused) {
			t.Errorf("%s: got %v and error %v, want an unresolved error", body, got, err)
		}
	}
}
