package githubapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// place is where a secret was seen: what GitHub calls a location. There are thirteen types, and there will be more.
type place struct {
	Type    string  `json:"type"`
	Details details `json:"details"`
}

// details say where the place is: the path and line in a commit, or the URL of an issue, a comment ...
type details map[string]json.RawMessage

// id tells the places of a list apart.
func (p place) id() string { return fmt.Sprintf("%s %s", p.Type, p.Details) }

func (d details) text(key string) (text string) {
	_ = json.Unmarshal(d[key], &text) // anything but text says nothing
	return text
}

func (d details) line() (line int) {
	_ = json.Unmarshal(d["start_line"], &line) // anything but a number says nothing
	return line
}

// first is the place that the alert itself names; if it names none, the zero place.
func (a alert) first() place {
	if _, wiki := a.First["page_url"]; wiki {
		return place{"wiki_commit", a.First}
	}
	for key := range a.First {
		if kind, ok := strings.CutSuffix(key, "_url"); ok && kind != "blob" && kind != "html" {
			return place{kind, a.First}
		}
	}
	return place{}
}

// link is the page that people can open to see the place, if GitHub's answer leads to one; otherwise the alert's own page, which
// lists its places. It comes from the answer, and is only ever shown.
func (a alert) link(p place) string {
	page, err := url.Parse(a.HTMLURL)
	if err != nil || page.Host == "" || page.Scheme != "https" && page.Scheme != "http" {
		return ""
	}
	said := p.Details.text(p.Type + "_url")
	switch p.Type {
	case "commit":
		return a.blob(page, p.Details)
	case "wiki_commit":
		said = p.Details.text("page_url")
	}
	where, err := url.Parse(said)
	if said == "" || err != nil {
		return page.String()
	}
	if inAPI := apiPath.FindStringSubmatch(where.Path); inAPI != nil {
		return a.fromAPI(page, inAPI[1])
	}
	if where.Host != page.Host || where.Scheme != page.Scheme {
		return page.String()
	}
	return where.String()
}

// blob is the page of a line of a file in a commit.
func (a alert) blob(page *url.URL, d details) string {
	sha, path := d.text("commit_sha"), strings.TrimPrefix(d.text("path"), "/")
	repository, ok := repositoryPath(page)
	if !ok || sha == "" || path == "" {
		return page.String()
	}
	file := url.URL{Scheme: page.Scheme, Host: page.Host, Path: repository + "/blob/" + sha + "/" + path}
	if line := d.line(); line > 0 {
		file.Fragment = "L" + strconv.Itoa(line)
	}
	return file.String()
}

// apiPath is the form of the path of an API's URL below a repository. The others are the forms that have pages.
var (
	apiPath    = regexp.MustCompile(`^(?:/api/v3)?/repos/[^/]+/[^/]+/((?:issues|pulls)/.+)$`)
	issuePath  = regexp.MustCompile(`^issues/([0-9]+)$`)
	pullPath   = regexp.MustCompile(`^pulls/([0-9]+)$`)
	reviewPath = regexp.MustCompile(`^pulls/([0-9]+)/reviews/([0-9]+)$`)
)

// fromAPI is the page of what the API has at a path. A comment has no page of its own: its path becomes the fragment of the
// alert's page, so that two comments are still two places.
func (a alert) fromAPI(page *url.URL, path string) string {
	at := url.URL{Scheme: page.Scheme, Host: page.Host}
	repository, ok := repositoryPath(page)
	if issue := issuePath.FindStringSubmatch(path); ok && issue != nil {
		at.Path = repository + "/issues/" + issue[1]
	} else if pull := pullPath.FindStringSubmatch(path); ok && pull != nil {
		at.Path = repository + "/pull/" + pull[1]
	} else if review := reviewPath.FindStringSubmatch(path); ok && review != nil {
		at.Path, at.Fragment = repository+"/pull/"+review[1], "pullrequestreview-"+review[2]
	} else {
		at.Path, at.Fragment = page.Path, path
	}
	return at.String()
}

// repositoryPath is the path of the repository's page, above the alert's page.
func repositoryPath(page *url.URL) (string, bool) {
	repository, _, ok := strings.Cut(page.Path, "/security/secret-scanning/")
	return repository, ok
}
