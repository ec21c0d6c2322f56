package gitlabfake

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// firstID is where ids start: above 32 bits, as GitLab's own are for busy tables.
const firstID = 5_000_000_000

// htmlURL is the instance, as bodies and the X-Gitlab-Instance of deliveries name it.
const htmlURL = "https://gitlab.example"

// group is a namespace of projects and further groups.
type group struct {
	id   int64
	path string // acme, or acme/payments
}

// project is a repository, with what it holds at each commit.
type project struct {
	id      int64
	path    string
	commits map[string]commit // by SHA
	head    string            // of the default branch; empty: nothing was committed
}

// AddProject adds a project and the groups that it is in, if they are not there yet, and returns its id. One that a
// vulnerability, a job, a commit or a hook names is added by itself.
func (f *Fake) AddProject(path string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addProject(path).id
}

// AddGroup adds a group and those that it is in, if they are not there yet, and returns its id.
func (f *Fake) AddGroup(path string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addGroup(path).id
}

// RemoveProject makes a project, and all that it holds, answer 404.
func (f *Fake) RemoveProject(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.projects[strings.ToLower(path)]
	delete(f.projects, strings.ToLower(path))
	for id, v := range f.vulnerabilities {
		if v.project == p {
			delete(f.vulnerabilities, id)
		}
	}
	f.changed()
}

func (f *Fake) addProject(path string) *project {
	path = cmp.Or(path, "acme/shop")
	p, ok := f.projects[strings.ToLower(path)]
	if !ok {
		f.addGroup(parent(path))
		p = &project{id: f.nextID(), path: path, commits: map[string]commit{}}
		f.projects[strings.ToLower(path)] = p
	}
	return p
}

func (f *Fake) addGroup(path string) *group {
	g, ok := f.groups[strings.ToLower(path)]
	if !ok {
		if above := parent(path); above != "" {
			f.addGroup(above)
		}
		g = &group{id: f.nextID(), path: path}
		f.groups[strings.ToLower(path)] = g
	}
	return g
}

// parent is the path of the group that something is in; empty: none.
func parent(path string) string {
	at := strings.LastIndex(path, "/")
	return path[:max(at, 0)]
}

// name is the last part of a path.
func name(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// holds reports whether a path is in a group, or in one below it.
func (g *group) holds(path string) bool {
	prefix := g.path + "/"
	return len(path) > len(prefix) && strings.EqualFold(path[:len(prefix)], prefix)
}

// projectsOf returns the projects in a group and below it, by id.
func (f *Fake) projectsOf(g *group, below bool) []*project {
	var found []*project
	for _, p := range f.projects {
		if g.holds(p.path) && (below || strings.EqualFold(parent(p.path), g.path)) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *project) int { return cmp.Compare(a.id, b.id) })
	return found
}

func (g *group) show() object {
	return object{
		"id": g.id, "web_url": htmlURL + "/groups/" + g.path, "name": name(g.path), "path": name(g.path),
		"full_name": strings.ReplaceAll(g.path, "/", " / "), "full_path": g.path, "visibility": "private", "description": "",
	}
}

// identity is the project as the things in it name it.
func (p *project) identity() object {
	return object{
		"id": p.id, "description": nil, "name": name(p.path), "name_with_namespace": strings.ReplaceAll(p.path, "/", " / "),
		"path": name(p.path), "path_with_namespace": p.path, "created_at": "2024-01-02T03:04:05.678Z",
	}
}

func (p *project) show() object {
	shown := p.identity()
	shown["web_url"], shown["default_branch"], shown["visibility"] = p.url(), branch, "private"
	shown["namespace"] = object{"full_path": parent(p.path), "kind": "group"}
	return shown
}

func (p *project) url() string { return htmlURL + "/" + p.path }

func (c *call) getGroup() *answer   { return ok(c.group.show()) }
func (c *call) getProject() *answer { return ok(c.project.show()) }

func (c *call) listProjects() *answer {
	query := c.request.URL.Query()
	found := c.fake.projectsOf(c.group, query.Get("include_subgroups") == "true")
	found = slices.DeleteFunc(found, func(p *project) bool { return !c.token.sees(p) })
	if query.Get("sort") != "asc" {
		slices.Reverse(found)
	}
	return listed(c, found, func(p *project) int64 { return p.id }, (*project).show)
}

// changed forgets what listings found.
func (f *Fake) changed() { clear(f.lists) }

// now is the time of the fake as GitLab keeps times: in whole milliseconds.
func (f *Fake) now() time.Time { return f.options.Now().UTC().Truncate(time.Millisecond) }

func (f *Fake) nextID() int64 {
	f.lastID++
	return f.lastID
}

// user returns the id of the user with a login, made if there is none yet.
func (f *Fake) user(login string) int64 {
	id, ok := f.users[login]
	if !ok {
		id = f.nextID()
		f.users[login] = id
	}
	return id
}

// stamp writes a time as GitLab's API does; null for the zero time.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

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
