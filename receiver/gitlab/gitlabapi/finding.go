package gitlabapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/extract"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
)

// finding is what a scanner found, as in its report. GitLab keeps it with the vulnerability. No field is guaranteed.
type finding struct {
	Extract     secretText   `json:"raw_source_code_extract"`
	Location    location     `json:"location"`
	Identifiers []identifier `json:"identifiers"`
}

// location is a place in a repository.
type location struct {
	File   string `json:"file"`
	Line   int    `json:"start_line"`
	Commit struct {
		SHA string `json:"sha"`
	} `json:"commit"`
}

// identifier names the rule that matched.
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// commitForm is the form of a commit. A scanner that does not know the commit writes zeros.
var commitForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// sha is the commit; empty: it is not known.
func (l location) sha() string {
	if !commitForm.MatchString(l.Commit.SHA) || strings.Trim(l.Commit.SHA, "0") == "" {
		return ""
	}
	return l.Commit.SHA
}

// isKnown reports whether the location leads to a line of a file.
func (l location) isKnown() bool { return l.File != "" && l.Line > 0 && l.sha() != "" }

// isAt reports whether two locations are the same line of the same file, as far as they say.
func (l location) isAt(other location) bool {
	commit := l.sha() == "" || other.sha() == "" || l.sha() == other.sha()
	return commit && l.File == other.File && l.Line == other.Line
}

// gitleaks is the type of the identifiers of GitLab's own rules.
const gitleaks = "gitleaks_rule_id"

// kind is the type of a secret as in the Token Revocation API: the type and the value of its identifier in lower case, with _ for
// blanks. Empty: the finding has no identifier.
func (f finding) kind() string {
	var chosen identifier
	for _, i := range f.Identifiers {
		if chosen.Type == "" || i.Type == gitleaks && chosen.Type != gitleaks {
			chosen = i
		}
	}
	if chosen.Type == "" || chosen.Value == "" {
		return ""
	}
	return strings.ToLower(chosen.Type + "_" + strings.ReplaceAll(chosen.Value, " ", "_"))
}

// project is where findings are.
type project struct {
	id   string // for go-gitlab: a number, or a path
	path string
}

// secret returns the secret of a finding: what the scanner matched, or the token in the line; empty: it cannot be told from the
// rest. It is no error if the file is gone.
func (v *vendor) secret(ctx context.Context, p project, f finding) (leak.Secret, error) {
	if token := extract.FromMatch(f.Extract.Secret); !token.Empty() {
		return token, nil
	}
	if !f.Location.isKnown() {
		return leak.Secret{}, nil
	}
	file, err := v.file(ctx, p, f.Location)
	if errors.Is(err, collect.ErrGone) {
		return leak.Secret{}, nil
	}
	return extract.FromLine(file, f.Location.Line), err
}

// file reads a file as it was at a commit. It asks for JSON, which a proxy's page is not.
func (v *vendor) file(ctx context.Context, p project, l location) (leak.Secret, error) {
	const doing = "reading the file"
	var file *gl.File
	_, err := v.client.Do(ctx, gitlabclient.Call{
		Doing: doing,
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) (err error) {
			file, _, err = to.RepositoryFiles.GetFile(p.id, l.File, &gl.GetFileOptions{Ref: gl.Ptr(l.sha())}, options...)
			return err
		},
	})
	if err != nil {
		return leak.Secret{}, err
	}
	content, err := base64.StdEncoding.DecodeString(file.Content)
	switch {
	case err != nil: // it quotes nothing, but says nothing either
		return leak.Secret{}, fmt.Errorf("%s: %w", doing, gitlabclient.ErrUnreadable)
	case file.FilePath != l.File || file.Size != len(content):
		return leak.Secret{}, fmt.Errorf("%s: %w", doing, errOther)
	}
	return leak.NewSecret(string(content)), nil
}

// content is what we say about a finding. If it leads to no line of a file, its page is that of r.
func (v *vendor) content(p project, r Ref, f finding, secret leak.Secret) leak.Content {
	c := leak.Content{Secret: secret, Type: f.kind(), URL: v.pageOf(r), Place: string(r.subject)}
	if l := f.Location; l.isKnown() {
		c.Place = "commit"
		c.URL = v.client.Page(p.path+"/-/blob/"+l.sha()+"/"+l.File, "L"+strconv.Itoa(l.Line))
	}
	return c
}

// pageOf is the page of a vulnerability or a job.
func (v *vendor) pageOf(r Ref) string {
	section := string(r.subject)
	if r.subject == vulnerability {
		section = "security/" + section
	}
	return v.client.Page(r.project+"/-/"+section+"/"+strconv.FormatInt(r.number, 10), "")
}
