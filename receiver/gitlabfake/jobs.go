package gitlabfake

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"stanch/receiver/feedfake"
)

// reportFile is the name of the report of secret detection.
const reportFile = "gl-secret-detection-report.json"

// Scan is a run of secret detection that a test starts: a pipeline with one job, its report, and what GitLab makes of
// it.
type Scan struct {
	Project string // path; empty: acme/shop
	Job     string // name; empty: secret_detection
	Status  string // of the job; empty: success
	Ref     string // branch; empty: the default one. A scan of another one makes no vulnerabilities
	// Unlisted leaves the report out of the job's artifacts:paths: it is read by GitLab, and nobody else can download it.
	Unlisted bool
	// Expired erases the artefacts, as GitLab does after a while.
	Expired bool
	// Findings are what the scanner found; their Project is that of the scan.
	Findings []Vulnerability
}

// Scanned is the result of a scan.
type Scanned struct {
	Pipeline        int64
	Job             int64
	Vulnerabilities []int64           // in the order of the findings; none when the scan was of another branch
	Leaked          []feedfake.Leaked // what GitLab hands to a [feedfake.Revoker]
}

type job struct {
	Scan
	id, pipeline int64
	project      *project
	sha          string
	at           time.Time
	report       []byte
}

// Scan runs secret detection: it adds the job with its report, then the vulnerabilities, and sends the hooks of the job, the
// pipeline and the vulnerabilities in this order.
func (f *Fake) Scan(s Scan) Scanned {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.addProject(s.Project)
	s.Project, s.Job, s.Status = p.path, cmp.Or(s.Job, "secret_detection"), cmp.Or(s.Status, "success")
	s.Ref = cmp.Or(s.Ref, branch)
	j := &job{Scan: s, id: f.nextID(), pipeline: f.nextID(), project: p, at: f.now()}
	f.jobs[j.id] = j
	done := Scanned{Pipeline: j.pipeline, Job: j.id}
	var found []*vulnerability
	for _, finding := range s.Findings {
		finding.Project = p.path
		v := f.put(finding)
		v.pipeline = j.pipeline
		found = append(found, v)
		done.Leaked = append(done.Leaked, v.leaked())
	}
	j.sha, j.report = p.head, report(found, j.at, f.Switches())
	f.finished(j)
	if s.Ref == branch {
		for _, v := range found {
			f.happened(v, "")
			done.Vulnerabilities = append(done.Vulnerabilities, v.ID)
		}
		return done
	}
	for _, v := range found {
		delete(f.vulnerabilities, v.ID)
	}
	return done
}

// report is the file that the scanner writes.
func report(found []*vulnerability, at time.Time, s Switches) []byte {
	scanner := object{"id": "gitleaks", "name": "Gitleaks", "vendor": object{"name": "GitLab"}, "version": "8.21.2"}
	findings := []object{}
	for _, v := range found {
		findings = append(findings, v.report(s))
	}
	when := at.Format("2006-01-02T15:04:05")
	data, _ := json.MarshalIndent(object{
		"version": "15.2.1", "vulnerabilities": findings, "remediations": []object{},
		"scan": object{
			"analyzer": scanner, "scanner": scanner, "type": "secret_detection", "start_time": when, "end_time": when,
			"status": "success",
		},
	}, "", "  ") // plain values always marshal
	return data
}

// listJobs lists the jobs of a project or a pipeline, newest first.
func (c *call) listJobs() *answer {
	pipeline, _ := strconv.ParseInt(c.request.PathValue("pipeline"), 10, 64)
	scopes := c.request.URL.Query()["scope[]"]
	var found []*job
	for _, j := range c.fake.jobs {
		if j.project == c.project && (pipeline == 0 || j.pipeline == pipeline) &&
			(len(scopes) == 0 || slices.Contains(scopes, j.Status)) {
			found = append(found, j)
		}
	}
	slices.SortFunc(found, func(a, b *job) int { return cmp.Compare(b.id, a.id) })
	return listed(c, found, func(j *job) int64 { return j.id }, (*job).show)
}

// theJob finds the job that a call names, or answers 404.
func (c *call) theJob() *answer {
	id, _ := strconv.ParseInt(c.request.PathValue("job"), 10, 64) // no job has the id 0
	c.job = c.fake.jobs[id]
	if c.job == nil || c.job.project != c.project {
		return notFound("")
	}
	return nil
}

func (c *call) getJob() *answer {
	return c.theJob().Or(func() *answer { return ok(c.job.show()) })
}

// archived finds the job that a call names and whose artifacts can be downloaded, or answers 404.
func (c *call) archived() *answer {
	no := c.theJob()
	if no == nil && (c.job.Unlisted || c.job.Expired) {
		no = notFound("")
	}
	return no
}

func (c *call) getArtifact() *answer {
	no := c.archived()
	if no == nil && c.request.PathValue("path") != reportFile {
		no = notFound("")
	}
	if no != nil {
		return no
	}
	c.showed(string(c.job.report))
	a := answer{Status: http.StatusOK, Raw: c.job.report}.With("Content-Type", "application/octet-stream")
	return &a
}

// getArchive answers all artifacts as a zip file.
func (c *call) getArchive() *answer {
	if no := c.archived(); no != nil {
		return no
	}
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	file, _ := archive.Create(reportFile) // nothing that goes to memory fails
	_, _ = file.Write(c.job.report)
	_ = archive.Close()
	c.showed(string(c.job.report))
	a := answer{Status: http.StatusOK, Raw: packed.Bytes()}.With("Content-Type", "application/zip")
	return &a
}

func (j *job) show() object {
	shown := object{
		"id": j.id, "name": j.Job, "stage": "test", "status": j.Status, "ref": j.Ref, "tag": false, "allow_failure": true,
		"created_at": stamp(j.at), "started_at": stamp(j.at), "finished_at": stamp(j.at), "erased_at": nil, "duration": 3.5,
		"queued_duration": 0.5, "web_url": fmt.Sprintf("%s/-/jobs/%d", j.project.url(), j.id),
		"pipeline": object{
			"id": j.pipeline, "project_id": j.project.id, "ref": j.Ref, "sha": j.sha, "status": j.Status,
		},
		"commit": object{"id": j.sha, "short_id": j.sha[:min(8, len(j.sha))], "title": "settings"}, "artifacts": []object{},
	}
	if j.Expired {
		return shown
	}
	size := len(j.report)
	files := []object{{"file_type": "secret_detection", "size": size, "filename": reportFile, "file_format": "raw"}}
	if !j.Unlisted {
		shown["artifacts_file"] = object{"filename": "artifacts.zip", "size": size}
		files = append(files, object{"file_type": "archive", "size": size, "filename": "artifacts.zip", "file_format": "zip"})
	}
	shown["artifacts"] = files
	return shown
}

// leaked is what GitLab tells a revocation service of a vulnerability.
func (v *vulnerability) leaked() feedfake.Leaked {
	location := fmt.Sprintf("%s/-/raw/%s/%s", v.project.url(), v.Commit, v.File)
	return feedfake.Leaked{
		Type: feedfake.RevocationType("gitleaks_rule_id", v.Rule), Token: v.Secret, Location: location, Vulnerability: v.ID,
	}
}
