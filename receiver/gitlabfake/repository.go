package gitlabfake

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

// branch is the default branch of every project.
const branch = "main"

// commit is what a repository holds at one commit: the contents of files by path.
type commit map[string]string

// Commit commits files to the default branch of a project, by path, on top of what is there; an empty file is removed. It
// returns the SHA.
func (f *Fake) Commit(project string, files map[string]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addProject(project).commit(files)
}

func (p *project) commit(files map[string]string) string {
	tree := commit{}
	maps.Copy(tree, p.commits[p.head])
	maps.Copy(tree, files)
	maps.DeleteFunc(tree, func(_, content string) bool { return content == "" })
	p.head = vendorfake.Random(20)
	p.commits[p.head] = tree
	return p.head
}

// Forget makes a commit unknown, as after a rewritten history and garbage collection.
func (f *Fake) Forget(project, sha string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.addProject(project)
	delete(p.commits, sha)
	if p.head == sha {
		p.head = ""
	}
}

// resolve finds what a ref means: a branch, HEAD, or a SHA or the beginning of one; empty: nothing.
func (p *project) resolve(ref string) string {
	if ref == "" || ref == branch || ref == "HEAD" {
		return p.head
	}
	if _, known := p.commits[ref]; known {
		return ref
	}
	for sha := range p.commits {
		if len(ref) >= 7 && strings.HasPrefix(sha, ref) {
			return sha
		}
	}
	return ""
}

// file finds the file that a call names at the ref that it asks for, or answers 404.
func (c *call) file() (sha, content string, no *answer) {
	sha = c.project.resolve(c.request.URL.Query().Get("ref"))
	tree, known := c.project.commits[sha]
	if !known {
		return "", "", notFound("Commit")
	}
	content, known = tree[c.request.PathValue("path")]
	if !known {
		return "", "", notFound("File")
	}
	c.showed(content)
	return sha, content, nil
}

func (c *call) getRawFile() *answer {
	sha, content, no := c.file()
	if no != nil {
		return no
	}
	path := c.request.PathValue("path")
	a := answer{Status: http.StatusOK, Raw: []byte(content)}.With("Content-Type", "text/plain; charset=utf-8")
	a = a.With("X-Gitlab-File-Name", name(path)).With("X-Gitlab-File-Path", path).With("X-Gitlab-Size", strconv.Itoa(len(content)))
	a = a.With("X-Gitlab-Ref", cmp.Or(c.request.URL.Query().Get("ref"), "HEAD"))
	a = a.With("X-Gitlab-Commit-Id", sha).With("X-Gitlab-Last-Commit-Id", sha)
	return &a
}

// getFile answers a file as JSON. Unlike the raw file's, its ref must be given.
func (c *call) getFile() *answer {
	if c.request.URL.Query().Get("ref") == "" {
		return &answer{Status: http.StatusBadRequest, Body: object{"error": "ref is missing, ref is empty"}}
	}
	sha, content, no := c.file()
	if no != nil {
		return no
	}
	path := c.request.PathValue("path")
	return ok(object{
		"file_name": name(path), "file_path": path, "size": len(content), "encoding": "base64",
		"content": base64.StdEncoding.EncodeToString([]byte(content)), "ref": c.request.URL.Query().Get("ref"),
		"commit_id": sha, "last_commit_id": sha,
	})
}

// showed counts the secrets of the call's project that a text holds.
func (c *call) showed(text string) {
	seen := map[string]bool{}
	for _, v := range c.fake.vulnerabilities {
		secret := v.Secret.Reveal()
		if v.project == c.project && !seen[secret] && strings.Contains(text, secret) {
			seen[secret] = true
		}
	}
	c.event.Secrets += len(seen)
}
