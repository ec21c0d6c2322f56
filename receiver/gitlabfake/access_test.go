//nolint:staticcheck // go-gitlab has moved on to another name; this is its last release under the one that is used here
package gitlabfake_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xanzy/go-gitlab"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

func TestAccess(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{State: gitlabfake.Confirmed})
	server.AddProject("acme/pay/desk")
	group := server.AddHook(gitlabfake.Hook{URL: "http://127.0.0.1:1/"})
	project := server.AddHook(gitlabfake.Hook{Project: "acme/shop", URL: "http://127.0.0.1:1/"})
	shop, file := "projects/acme%2Fshop", "projects/acme%2Fshop/repository/files/config%2Fsettings%2Eenv/raw"
	groupHook, projectHook := fmt.Sprintf("groups/acme/hooks/%d", group), fmt.Sprintf("%s/hooks/%d", shop, project)
	role := func(r gitlabfake.Role) gitlabfake.Token { return gitlabfake.Token{Role: r} }
	scope := func(s string) gitlabfake.Token { return gitlabfake.Token{Scopes: strings.Fields(s)} }
	for _, row := range []struct {
		name   string
		token  gitlabfake.Token
		method string
		path   string
		status int
	}{
		{"everything", gitlabfake.Token{}, "GET", vulnerabilityPath(id), 200},
		{"no scope", scope(""), "GET", vulnerabilityPath(id), 403},
		{"read", scope("read_api"), "GET", vulnerabilityPath(id), 200},
		{"read, no write", scope("read_api"), "POST", vulnerabilityPath(id) + "/resolve", 403},
		{"repository", scope("read_repository"), "GET", file, 200},
		{"repository only", scope("read_repository"), "GET", shop, 403},
		{"reporter, file", role(gitlabfake.Reporter), "GET", file, 200},
		{"reporter", role(gitlabfake.Reporter), "GET", vulnerabilityPath(id), 403},
		{"developer", role(gitlabfake.Developer), "GET", vulnerabilityPath(id), 200},
		{"developer, list", role(gitlabfake.Developer), "GET", shop + "/vulnerabilities", 200},
		{"developer, write", role(gitlabfake.Developer), "POST", vulnerabilityPath(id) + "/confirm", 403},
		{"maintainer, write", role(gitlabfake.Maintainer), "POST", vulnerabilityPath(id) + "/confirm", 304},
		{"developer, hook", role(gitlabfake.Developer), "GET", projectHook, 403},
		{"maintainer, hook", role(gitlabfake.Maintainer), "GET", projectHook, 200},
		{"maintainer, group's hook", role(gitlabfake.Maintainer), "GET", groupHook, 403},
		{"owner, group's hook", role(gitlabfake.Owner), "GET", groupHook, 200},
		{"another group", gitlabfake.Token{Groups: []string{"rival"}}, "GET", vulnerabilityPath(id), 404},
		{"another group's project", gitlabfake.Token{Groups: []string{"rival"}}, "GET", shop, 404},
		{"the group", gitlabfake.Token{Groups: []string{"ACME"}}, "GET", shop, 200},
		{"a group below", gitlabfake.Token{Groups: []string{"acme/pay"}}, "GET", "groups/acme", 200},
		{"a group below, project", gitlabfake.Token{Groups: []string{"acme/pay"}}, "GET", shop, 404},
		{"another project", gitlabfake.Token{Projects: []string{"acme/pay/desk"}}, "GET", shop, 404},
		{"the project", gitlabfake.Token{Projects: []string{"acme/shop"}}, "GET", shop, 200},
		{"expired", gitlabfake.Token{ExpiresAt: time.Unix(1, 0)}, "GET", shop, 401},
		{"no such route", gitlabfake.Token{}, "GET", shop + "/issues", 404},
		{"no such vulnerability", gitlabfake.Token{}, "GET", "vulnerabilities/1", 404},
		{"no such group", gitlabfake.Token{}, "GET", "groups/rival", 404},
	} {
		t.Run(row.name, func(t *testing.T) {
			response, err := do(t, client(t, server, server.AddToken(row.token)), row.method, row.path, nil, nil)
			expect(t, row.name, response, err, row.status)
		})
	}
}

func TestTokens(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	me, response, err := c.Users.CurrentUser()
	expect(t, "user", response, err, 200)
	if me.Username != gitlabfake.Admin {
		t.Errorf("got the user %q", me.Username)
	}
	version, response, err := c.Version.GetVersion()
	expect(t, "version", response, err, 200)
	if !strings.HasPrefix(version.Version, "19.0.") {
		t.Errorf("got the version %q", version.Version)
	}
	value := server.AddToken(gitlabfake.Token{Scopes: []string{"read_repository"}, ExpiresAt: time.Now().Add(48 * time.Hour)})
	leaked := client(t, server, value)
	own, response, err := leaked.PersonalAccessTokens.GetSinglePersonalAccessToken()
	expect(t, "token", response, err, 200)
	if !own.Active || own.Scopes[0] != "read_repository" || own.ExpiresAt == nil {
		t.Errorf("got the token %+v", own)
	}
	response, err = leaked.PersonalAccessTokens.RevokePersonalAccessTokenSelf()
	expect(t, "revoke", response, err, 204)
	response, err = leaked.PersonalAccessTokens.RevokePersonalAccessTokenSelf()
	expect(t, "revoke again", response, err, 401)
	if !server.Revoked(value) || server.Revoked(leak.NewSecret("glpat-unknown")) {
		t.Error("the wrong tokens are revoked")
	}
	oauth, err := gitlab.NewOAuthClient(server.AddToken(gitlabfake.Token{}).Reveal(), gitlab.WithBaseURL(server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	_, response, err = oauth.Users.CurrentUser()
	expect(t, "as a bearer", response, err, 200)
	_, response, err = client(t, server, leak.NewSecret("glpat-unknown")).Users.CurrentUser()
	expect(t, "unknown", response, err, 401)
	server.RevokeTokens()
	_, response, err = c.Users.CurrentUser()
	expect(t, "all revoked", response, err, 401)
}

func TestGroupsAndProjects(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	id := server.AddProject("acme/shop")
	server.AddProject("acme/pay/desk")
	server.AddProject("acmes/shop")
	group := server.AddGroup("acme")
	shown, response, err := c.Groups.GetGroup(int(group), nil)
	expect(t, "group by id", response, err, 200)
	project, response, err := c.Projects.GetProject(int(id), nil)
	expect(t, "project by id", response, err, 200)
	if shown.FullPath != "acme" || project.PathWithNamespace != "acme/shop" || project.DefaultBranch != "main" {
		t.Errorf("got %q and %q", shown.FullPath, project.PathWithNamespace)
	}
	for below, want := range map[bool]int{false: 1, true: 2} {
		all, response, err := c.Groups.ListGroupProjects("acme", &gitlab.ListGroupProjectsOptions{IncludeSubGroups: &below})
		expect(t, "projects", response, err, 200)
		if len(all) != want {
			t.Errorf("got %d projects, want %d", len(all), want)
		}
	}
	vulnerability := server.AddVulnerability(gitlabfake.Vulnerability{})
	server.RemoveProject("acme/shop")
	for _, path := range []string{"projects/acme%2Fshop", vulnerabilityPath(vulnerability)} {
		response, err := do(t, c, http.MethodGet, path, nil, nil)
		expect(t, path, response, err, 404)
	}
}
