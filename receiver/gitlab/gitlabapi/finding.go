package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// finding is what a scanner found, as its report has it. GitLab keeps it with the vulnerability. No field is guaranteed.
type finding struct {
	Extract     secretText   `json:"raw_source_code_extract"`
	Location    location     `json:"location"`
	Identifiers []identifier `json:"identifiers"`
}

// location is where in a repository something was found.
type location struct {
	File   string `json:"file"`
	Line   int    `json:"start_line"`
	Commit struct {
		SHA string `json:"sha"`
	} `json:"commit"`
}

// identifier names the rule that something was found by.
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// commitForm is how a commit is named. A scanner that does not know it writes noughts.
var commitForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// sha is the commit; empty: it is not known.
func (l location) sha() string {
	if !commitForm.MatchString(l.Commit.SHA) || strings.Trim(l.Commit.SHA, "0") == "" {
		return ""
	}
	return l.Commit.SHA
}

// known reports whether it leads to a line of a file.
func (l location) known() bool { return l.File != "" && l.Line > 0 && l.sha() != "" }

// isAt reports whether two locations are the same line of the same file, as far as both say.
func (l location) isAt(other location) bool {
	commit := l.sha() == "" || other.sha() == "" || l.sha() == other.sha()
	return commit && l.File == other.File && l.Line == other.Line
}

// gitleaks is the type of identifier by which GitLab names its own rules.
const gitleaks = "gitleaks_rule_id"

// kind is what the Token Revocation API calls the type of a secret: the type and the value of its identifier in small letters,
// with _ for blanks. Empty: the finding has no identifier.
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
	id   string // in the API: a number, or an escaped path
	path string
}

// secret returns the secret of a finding: what the scanner matched, or what stands in the line; empty: nobody can tell. That
// the file is gone is no error.
func (v *vendor) secret(ctx context.Context, p project, f finding) (leak.Secret, error) {
	if token := tokenOf(f.Extract.Secret); !token.Empty() {
		return token, nil
	}
	if !f.Location.known() {
		return leak.Secret{}, nil
	}
	file, err := v.file(ctx, p, f.Location)
	if errors.Is(err, collect.ErrGone) {
		return leak.Secret{}, nil
	}
	return tokenAt(file, f.Location.Line), err
}

// file reads a file as it was at a commit. It is asked for in JSON, which no page of a proxy is taken for.
func (v *vendor) file(ctx context.Context, p project, l location) (leak.Secret, error) {
	const doing = "reading the file"
	var file struct {
		Path    string `json:"file_path"`
		Content []byte `json:"content"` // in base64
		Size    int    `json:"size"`
	}
	_, err := v.ask(ctx, request{
		doing: doing, method: http.MethodGet, into: &file,
		path:  "projects/" + p.id + "/repository/files/" + url.PathEscape(l.File),
		query: url.Values{"ref": {l.sha()}},
	})
	if err == nil && (file.Path != l.File || file.Size != len(file.Content)) {
		err = fmt.Errorf("%s: %w", doing, errOther)
	}
	return leak.NewSecret(string(file.Content)), err
}

// content is what is said of a finding; r is what its page is when it leads to no line of a file.
func (v *vendor) content(p project, r Ref, f finding, secret leak.Secret) leak.Content {
	c := leak.Content{Secret: secret, Type: f.kind(), URL: v.pageOf(r), Place: string(r.subject)}
	if l := f.Location; l.known() {
		c.Place = "commit"
		c.URL = v.page(p.path+"/-/blob/"+l.sha()+"/"+l.File, "L"+strconv.Itoa(l.Line))
	}
	return c
}

// pageOf is the page of a vulnerability or a job.
func (v *vendor) pageOf(r Ref) string {
	section := string(r.subject)
	if r.subject == vulnerability {
		section = "security/" + section
	}
	return v.page(r.project+"/-/"+section+"/"+strconv.FormatInt(r.number, 10), "")
}
