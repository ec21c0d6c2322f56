package gitlabapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/extract"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
)

// reportFile is the file that secret detection writes.
const reportFile = "gl-secret-detection-report.json"

// report is what secret detection writes into it.
type report struct {
	Vulnerabilities []finding `json:"vulnerabilities"` // nil: it is not a report
}

// fetchJob returns what a job's report holds. A job cannot be closed, so the contents have no ref: the vulnerabilities that
// GitLab makes of the findings have one.
func (v *vendor) fetchJob(ctx context.Context, r Ref) ([]leak.Content, error) {
	const doing = "fetching the job"
	p := project{r.project, r.project}
	var is *gl.Job
	_, err := v.client.Do(ctx, gitlabclient.Call{
		Doing: doing,
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) (err error) {
			is, _, err = to.Jobs.GetJob(p.id, int(r.number), options...)
			return err
		},
	})
	switch {
	case err != nil:
		return nil, err
	case int64(is.ID) != r.number:
		return nil, fmt.Errorf("%s: %w", doing, errOther)
	case !hasReport(is):
		return nil, fmt.Errorf("%s: %w: it left no report behind", doing, collect.ErrGone)
	}
	all, err := v.report(ctx, p, is.ID)
	if err != nil {
		return nil, err
	}
	return v.contents(ctx, p, r, all)
}

// hasReport reports whether GitLab has the report of a job.
func hasReport(j *gl.Job) bool {
	for _, file := range j.Artifacts {
		if file.FileType == SecretDetection {
			return true
		}
	}
	return false
}

// contents is what we say about the findings of a report. One whose secret cannot be told does not keep the others.
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
	v.log.ErrorContext(ctx, "a report has findings whose secret cannot be told from the text around it", "ref", r.String(), "findings", missed)
	return contents, nil
}

// report downloads the report of a job that wrote one.
func (v *vendor) report(ctx context.Context, p project, job int) ([]finding, error) {
	const doing = "downloading the report of the job"
	var r report
	_, err := v.client.Do(ctx, gitlabclient.Call{
		Doing: doing, Means: gitlabclient.NotGone,
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) error {
			file, _, err := to.Jobs.DownloadSingleArtifactsFile(p.id, job, reportFile, options...)
			if err != nil {
				return err
			}
			return readReport(file, &r)
		},
		Hints: map[int]string{
			http.StatusNotFound: "let the job list " + reportFile + " under artifacts:paths",
		},
	})
	if err == nil && r.Vulnerabilities == nil {
		err = fmt.Errorf("%s: %w", doing, gitlabclient.ErrUnreadable)
	}
	return r.Vulnerabilities, err
}

func readReport(file io.Reader, into *report) error {
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// reported looks up a finding in the reports of its pipeline; empty: it is in none. Reports that cannot be downloaded are skipped:
// they may never have been offered.
func (v *vendor) reported(ctx context.Context, p project, pipeline int64, wanted finding) (leak.Secret, error) {
	if pipeline == 0 || wanted.Location.File == "" {
		return leak.Secret{}, nil
	}
	jobs, err := v.jobs(ctx, p, pipeline)
	for _, j := range jobs {
		if j == nil || !strings.HasPrefix(j.Name, SecretDetection) || !hasReport(j) {
			continue
		}
		all, err := v.report(ctx, p, j.ID)
		if err != nil && !gitlabclient.IsAbsent(err) {
			return leak.Secret{}, err
		}
		if token := same(all, wanted); !token.Empty() {
			return token, nil
		}
	}
	return leak.Secret{}, err
}

// jobs lists the jobs of a pipeline: its first page. It is empty if the pipeline is gone or not for us to see.
func (v *vendor) jobs(ctx context.Context, p project, pipeline int64) (jobs []*gl.Job, err error) {
	_, err = v.client.Do(ctx, gitlabclient.Call{
		Doing: "listing the jobs of the pipeline",
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) (err error) {
			page := &gl.ListJobsOptions{ListOptions: gl.ListOptions{PerPage: gitlabclient.PerPage}}
			jobs, _, err = to.Jobs.ListPipelineJobs(p.id, int(pipeline), page, options...)
			return err
		},
	})
	if gitlabclient.IsAbsent(err) {
		return nil, nil
	}
	return jobs, err
}

// same is the token of the only finding at the same place by the same rule; empty: there is none, or there are several.
func same(all []finding, wanted finding) leak.Secret {
	var tokens []leak.Secret
	for _, f := range all {
		if f.Location.isAt(wanted.Location) && f.kind() == wanted.kind() {
			tokens = append(tokens, extract.FromMatch(f.Extract.Secret))
		}
	}
	if len(tokens) != 1 {
		return leak.Secret{}
	}
	return tokens[0]
}
