package githubfake

import (
	"cmp"
	"fmt"
)

// Location is a place where a secret was seen.
type Location struct {
	Type string // one of LocationTypes; empty: commit
	// URL is what the details name: of the commit or of the issue, comment ...; empty: made up.
	URL string
	// Path and Line are where in a commit or a wiki page; empty: config/settings.env, line 7.
	Path string
	Line int
}

// LocationTypes returns every type of location that GitHub documents.
func LocationTypes() []string {
	return []string{
		"commit", "wiki_commit", "issue_title", "issue_body", "issue_comment", "discussion_title", "discussion_body",
		"discussion_comment", "pull_request_title", "pull_request_body", "pull_request_comment", "pull_request_review",
		"pull_request_review_comment",
	}
}

// places is the path of a made-up URL below the repository's page or its API, by type.
var places = map[string]string{
	"commit":                      "/git/commits/4a5b6c7d8e9f00112233445566778899aabbccdd",
	"wiki_commit":                 "/wiki/_compare/4a5b6c7d8e9f00112233445566778899aabbccdd",
	"issue_title":                 "/issues/12",
	"issue_body":                  "/issues/12",
	"issue_comment":               "/issues/comments/3456",
	"discussion_title":            "/discussions/21",
	"discussion_body":             "/discussions/21#discussion-4567",
	"discussion_comment":          "/discussions/21#discussioncomment-5678",
	"pull_request_title":          "/pulls/34",
	"pull_request_body":           "/pulls/34",
	"pull_request_comment":        "/issues/comments/6789",
	"pull_request_review":         "/pulls/34/reviews/56",
	"pull_request_review_comment": "/pulls/comments/78",
}

// url is what the details name.
func (l Location) url(r *repo) string {
	if l.URL != "" {
		return l.URL
	}
	switch l.Type {
	case "wiki_commit", "discussion_title", "discussion_body", "discussion_comment":
		return htmlURL + "/" + r.Name + places[l.Type]
	}
	return r.apiURL() + places[cmp.Or(l.Type, "commit")]
}

// details writes what a location says beside its type.
func (l Location) details(r *repo) object {
	kind := cmp.Or(l.Type, "commit")
	if kind != "commit" && kind != "wiki_commit" {
		return object{kind + "_url": l.url(r)}
	}
	line := cmp.Or(l.Line, 7)
	details := object{
		"path": cmp.Or(l.Path, "config/settings.env"), "start_line": line, "end_line": line, "start_column": 9,
		"end_column": 41, "blob_sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
		"commit_sha": "4a5b6c7d8e9f00112233445566778899aabbccdd", "commit_url": l.url(r),
	}
	if kind == "commit" {
		details["blob_url"] = fmt.Sprintf("%s/git/blobs/%s", r.apiURL(), details["blob_sha"])
	} else {
		details["page_url"] = htmlURL + "/" + r.Name + "/wiki/Home"
	}
	return details
}

func (l Location) show(r *repo) object {
	return object{"type": cmp.Or(l.Type, "commit"), "details": l.details(r)}
}

func (c *call) listLocations() *answer {
	if no := c.theAlert(); no != nil {
		return no
	}
	shown := []object{}
	for _, l := range byPage(c, c.alert.Locations) {
		shown = append(shown, l.show(c.repo))
	}
	return ok(shown)
}
