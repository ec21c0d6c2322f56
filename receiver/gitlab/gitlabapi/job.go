package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// ran is a job that ran, with the files that it left behind.
type ran struct {
	ID    int64    `json:"id"`
	Name  string   `json:"name"`
	Files []output `json:"artifacts"` //nolint:misspell // GitLab's word
}

type output struct {
	Type string `json:"file_type"`
}

// report is what secret detection writes.
type report struct {
	Vulnerabilities []finding `json:"vulnerabilities"` // nil: it is no report
}

// fetchJob returns what a job's report holds. A job is nothing that could be closed, so what comes of it has no ref: what has
// one is the vulnerability that GitLab makes of each finding.
func (v *vendor) fetchJob(ctx context.Context, r Ref) ([]leak.Content, error) {
	p := project{url.PathEscape(r.project), r.project}
	id := strconv.FormatInt(r.number, 10)
	var is ran
	const doing = "fetching the job"
	_, err := v.ask(ctx, request{doing: doing, method: http.MethodGet, path: "projects/" + p.id + "/jobs/" + id, into: &is})
	switch {
	case err != nil:
		return nil, err
	case is.ID != r.number:
		return nil, fmt.Errorf("%s: %w", doing, errOther)
	case !is.scanned():
		return nil, fmt.Errorf("%s: %w: it left no report behind", doing, collect.ErrGone)
	}
	all, err := v.report(ctx, p, r.number)
	if err != nil {
		return nil, err
	}
	return v.contents(ctx, p, r, all)
}

// scanned reports whether GitLab has a report of the job.
func (j ran) scanned() bool {
	return slices.ContainsFunc(j.Files, func(o output) bool { return o.Type == SecretDetection })
}

// contents says what the findings of a report are. One of which nobody can tell the secret does not keep the others.
func (v *vendor) contents(ctx context.Context, p project, r Ref, all []finding) ([]leak.Content, error) {
	var contents []leak.Content
	missed := 0
	for _, f := range all {
		secret, err := v.secret(ctx, p, f)
		if err != nil {
			return nil, err
		}
		if secret.Empty() {
			missed++
			continue
		}
		contents = append(contents, v.content(p, r, f, secret))
	}
	if missed == 0 {
		return contents, nil
	}
	if len(contents) == 0 {
		return nil, fmt.Errorf("reading the report of the job: %w", collect.ErrNoSecret)
	}
	v.log.ErrorContext(ctx, "a report has findings that hold no secret that can be told apart", "ref", r.String(), "findings", missed)
	return contents, nil
}

// report downloads the report of a job that made one.
func (v *vendor) report(ctx context.Context, p project, id int64) ([]finding, error) {
	const doing = "downloading the report of the job"
	var r report
	_, err := v.ask(ctx, request{
		doing: doing, method: http.MethodGet, into: &r, means: notListed,
		path: "projects/" + p.id + "/jobs/" + strconv.FormatInt(id, 10) +
			"/artifacts/gl-secret-detection-report.json", //nolint:misspell // GitLab's word
		hints: map[int]string{
			http.StatusNotFound: "let the job list gl-secret-detection-report.json under artifacts:paths", //nolint:misspell // GitLab's word
		},
	})
	if err == nil && r.Vulnerabilities == nil {
		err = fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return r.Vulnerabilities, err
}

// reported looks a finding up in the reports of its pipeline; empty: nobody can tell. Reports that cannot be downloaded are
// none: they may never have been offered.
func (v *vendor) reported(ctx context.Context, p project, pipeline int64, wanted finding) (leak.Secret, error) {
	if pipeline == 0 || wanted.Location.File == "" {
		return leak.Secret{}, nil
	}
	var jobs []ran
	_, err := v.ask(ctx, request{
		doing: "listing the jobs of the pipeline", method: http.MethodGet, into: &jobs,
		path:  "projects/" + p.id + "/pipelines/" + strconv.FormatInt(pipeline, 10) + "/jobs",
		query: url.Values{"per_page": {perPage}},
	})
	if err != nil {
		return leak.Secret{}, unlessAbsent(err)
	}
	for _, j := range jobs {
		if !strings.HasPrefix(j.Name, SecretDetection) || !j.scanned() {
			continue
		}
		all, err := v.report(ctx, p, j.ID)
		if unlessAbsent(err) != nil {
			return leak.Secret{}, err
		}
		if token := same(all, wanted); !token.Empty() {
			return token, nil
		}
	}
	return leak.Secret{}, nil
}

// unlessAbsent drops an error that says that something is not there, or not for us to see.
func unlessAbsent(err error) error {
	if errors.Is(err, collect.ErrGone) || errors.Is(err, collect.ErrRefused) {
		return nil
	}
	return err
}

// same is the token of the one finding at the same place by the same rule; empty: there is none, or there are several.
func same(all []finding, wanted finding) leak.Secret {
	var tokens []leak.Secret
	for _, f := range all {
		if f.Location.isAt(wanted.Location) && f.kind() == wanted.kind() {
			tokens = append(tokens, tokenOf(f.Extract.Secret))
		}
	}
	if len(tokens) != 1 {
		return leak.Secret{}
	}
	return tokens[0]
}
