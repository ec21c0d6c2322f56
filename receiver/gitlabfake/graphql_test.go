package gitlabfake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// asked is what GraphQL answers.
type asked struct {
	Data   json.RawMessage
	Errors []struct {
		Message string
		Path    []any
	}
}

// ask sends a document. GraphQL is not below go-gitlab's base URL.
func ask(t *testing.T, server *gitlabfake.Server, token leak.Secret, query string, variables map[string]any) (status int, got asked) {
	t.Helper()
	body := encode(t, map[string]any{"query": query, "variables": variables})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/api/graphql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, _ := io.ReadAll(response.Body)
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("reading %s: %v", data, err)
	}
	return response.StatusCode, got
}

const listing = `
# What a sweep asks for.
query Open($path: ID!, $states: [VulnerabilityState!] = [DETECTED, CONFIRMED], $after: String) {
  group(fullPath: $path) {
    vulnerabilities(reportType: [SECRET_DETECTION], state: $states, sort: detected_desc, first: 2, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes {
        ...Seen
        location { ... on VulnerabilityLocationSecretDetection { file startLine blobPath } __typename }
      }
    }
  }
}
fragment Seen on Vulnerability { id state detectedAt updatedAt identifiers { externalType externalId } project { fullPath } }`

// found is what a listing finds.
type found struct {
	Group *struct {
		Vulnerabilities *struct {
			PageInfo struct {
				HasNextPage bool
				EndCursor   string
			}
			Nodes []struct {
				ID, State             string
				DetectedAt, UpdatedAt time.Time
				Identifiers           []struct{ ExternalType, ExternalID string }
				Project               struct{ FullPath string }
				Location              struct {
					File, StartLine, BlobPath string
					Kind                      string `json:"__typename"`
				}
			}
		}
	}
}

func list(t *testing.T, server *gitlabfake.Server, token leak.Secret, variables map[string]any) (f found) {
	t.Helper()
	status, got := ask(t, server, token, listing, variables)
	if status != 200 || len(got.Errors) > 0 {
		t.Fatalf("answer %d, errors %v", status, got.Errors)
	}
	if err := json.Unmarshal(got.Data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestListByGroup(t *testing.T) {
	var clock clock
	server, _ := start(t, gitlabfake.Options{Now: clock.now})
	token := server.AddToken(gitlabfake.Token{Scopes: []string{"read_api"}, Role: gitlabfake.Developer})
	var want []string
	for n := range 5 {
		id := server.AddVulnerability(gitlabfake.Vulnerability{Project: "acme/pay/shop", Rule: "Acme key"})
		want = append([]string{fmt.Sprintf("gid://gitlab/Vulnerability/%d", id)}, want...)
		if n == 1 {
			server.Change(id, gitlabfake.Confirmed, "", "")
		}
		clock.advance(time.Second)
	}
	for _, other := range []gitlabfake.Vulnerability{{ReportType: "sast"}, {State: gitlabfake.Resolved}, {Project: "rival/x"}} {
		server.AddVulnerability(other)
	}
	var ids []string
	variables := map[string]any{"path": "ACME"}
	for {
		page := list(t, server, token, variables).Group.Vulnerabilities
		for _, node := range page.Nodes {
			ids = append(ids, node.ID)
		}
		if !page.PageInfo.HasNextPage {
			break
		}
		variables["after"] = page.PageInfo.EndCursor
		if len(ids) == 2 { // a new one moves nothing
			server.AddVulnerability(gitlabfake.Vulnerability{})
		}
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
	got := list(t, server, token, map[string]any{"path": "acme", "states": "CONFIRMED"}).Group.Vulnerabilities.Nodes
	if len(got) != 1 || got[0].Project.FullPath != "acme/pay/shop" || got[0].Location.StartLine != "7" ||
		got[0].Location.Kind != "VulnerabilityLocationSecretDetection" || got[0].Identifiers[0].ExternalID != "Acme key" {
		t.Fatalf("got %+v", got)
	}
	v := server.Vulnerabilities()[1]
	if want := "/acme/pay/shop/-/blob/" + v.Commit + "/config/settings.env#L7"; got[0].Location.BlobPath != want {
		t.Errorf("got the path %q, want %q", got[0].Location.BlobPath, want)
	}
	if n := server.Count(gitlabfake.QueryGroup, "acme", 0); n != 4 {
		t.Errorf("got %d queries in the journal, want 4", n)
	}
	for name, token := range map[string]gitlabfake.Token{
		"reporter": {Role: gitlabfake.Reporter}, "no scope": {Scopes: []string{"read_repository"}}, "other group": {Groups: []string{"rival"}},
	} {
		if f := list(t, server, server.AddToken(token), map[string]any{"path": "acme"}); f.Group != nil && f.Group.Vulnerabilities != nil {
			t.Errorf("%s: got %+v", name, f.Group)
		}
	}
}

const resolving = `mutation($id: VulnerabilityID!, $why: String) {
  done: vulnerabilityResolve(input: {id: $id, comment: $why, clientMutationId: "7"}) {
    clientMutationId errors vulnerability { id state stateComment resolvedBy { username } resolvedAt }
  }
}`

func TestResolveWithComment(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{Login: "stanch"})
	r := newReceiver(t)
	server.AddHook(gitlabfake.Hook{URL: r.URL})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	variables := map[string]any{"id": fmt.Sprintf("gid://gitlab/Vulnerability/%d", id), "why": "revoked\n\"proved\""}
	status, got := ask(t, server, token, resolving, variables)
	var data struct {
		Done struct {
			ClientMutationID string
			Errors           []string
			Vulnerability    struct {
				State, StateComment string
				ResolvedBy          struct{ Username string }
			}
		}
	}
	if err := json.Unmarshal(got.Data, &data); err != nil || status != 200 || len(got.Errors) > 0 {
		t.Fatalf("answer %d, errors %v: %v", status, got.Errors, err)
	}
	v, done := must(server.Vulnerability(id)), data.Done
	if v.State != gitlabfake.Resolved || v.Comment != variables["why"] || v.By != "stanch" || done.Vulnerability.State != "RESOLVED" ||
		done.ClientMutationID != "7" || done.Vulnerability.ResolvedBy.Username != "stanch" || done.Vulnerability.StateComment != v.Comment {
		t.Errorf("got %+v of %+v", done, v)
	}
	if got := r.take(server); len(got) != 1 || got[0].event(t).Attributes.State != "resolved" {
		t.Errorf("got %d deliveries", len(got))
	}
	if n := server.Count(gitlabfake.MutateResolve, "", id); n != 1 {
		t.Errorf("got %d mutations in the journal", n)
	}
	ask(t, server, token, resolving, variables)
	if v := must(server.Vulnerability(id)); v.Comments != 2 {
		t.Errorf("again: got %d comments, want 2", v.Comments)
	}
	server.SetSwitches(gitlabfake.Switches{Again: "refused"})
	_, got = ask(t, server, token, resolving, variables)
	data.Done.Errors = nil
	if err := json.Unmarshal(got.Data, &data); err != nil || len(data.Done.Errors) != 1 {
		t.Errorf("again, refused: got %s", got.Data)
	}
}

// What does not exist or is not allowed is an error beside the data, and changes nothing.
func TestMutationRefused(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	known := fmt.Sprintf("gid://gitlab/Vulnerability/%d", id)
	for name, row := range map[string]struct {
		token gitlabfake.Token
		id    string
	}{
		"unknown":   {gitlabfake.Token{}, "gid://gitlab/Vulnerability/1"},
		"no id":     {gitlabfake.Token{}, "1"},
		"developer": {gitlabfake.Token{Role: gitlabfake.Developer}, known},
		"read only": {gitlabfake.Token{Scopes: []string{"read_api"}}, known},
		"unseen":    {gitlabfake.Token{Groups: []string{"rival"}}, known},
	} {
		status, got := ask(t, server, server.AddToken(row.token), resolving, map[string]any{"id": row.id})
		if status != 200 || len(got.Errors) != 1 || string(got.Data) != `{"done":null}` || got.Errors[0].Path[0] != "done" {
			t.Errorf("%s: answer %d, %s, errors %v", name, status, got.Data, got.Errors)
		}
	}
	if v := must(server.Vulnerability(id)); v.State != gitlabfake.Detected {
		t.Errorf("the state is %s", v.State)
	}
	if status, got := ask(t, server, leak.NewSecret("glpat-x"), resolving, nil); status != 401 || got.Errors[0].Message != "Invalid token" {
		t.Errorf("unknown token: answer %d, errors %v", status, got.Errors)
	}
}

// A document that does not fit the schema is answered 200 without data, and does nothing.
func TestBadDocuments(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	for _, row := range []struct{ document, want string }{
		{`{ group(fullPath: "acme") { secrets } }`, "doesn't exist on type 'Group'"},
		{`{ group { name } }`, "missing required arguments: fullPath"},
		{`{ group(fullPath: "acme", deep: 1) { name } }`, "doesn't accept argument 'deep'"},
		{`{ group(fullPath: "acme") }`, "must have selections"},
		{`{ group(fullPath: "acme") { name { x } } }`, "Selections can't be made on scalars (field 'name' returns String"},
		{`{ group(fullPath: $path) { name } }`, "Variable $path is used by anonymous query but not declared"},
		{`query($path: ID!) { group(fullPath: $path) { name } }`, "Variable $path of type ID! was provided invalid value"},
		{`query($path: ID) { group(fullPath: $path) { name } }`, "Type mismatch on variable $path (ID / ID!)"},
		{`query($path: String!) { group(fullPath: $path) { name } }`, "Type mismatch on variable $path (String! / ID!)"},
		{`query($path: String = "acme") { group(fullPath: $path) { name } }`, "Type mismatch on variable $path (String / ID!)"},
		{`mutation { vulnerabilityResolve(input: {id: "x", reason: "y"}) { errors } }`, "InputObject 'VulnerabilityResolveInput' doesn't accept argument 'reason'"},
		{`mutation($i: Input!) { vulnerabilityResolve(input: $i) { errors } }`, "Input isn't a defined type"},
		{`mutation($i: Input = {id: "x"}) { vulnerabilityResolve(input: $i) { errors } }`, "Input isn't a defined type"},
		{`mutation($i: VulnerabilityDismissInput!) { vulnerabilityResolve(input: $i) { errors } }`, "Type mismatch on variable $i (VulnerabilityDismissInput! / VulnerabilityResolveInput!)"},
		{`{ group(fullPath: "acme") { ...Missing } }`, "not defined"},
		{`{ group(fullPath: "acme") { ... on Project { name } } }`, "can't be spread inside Group"},
		{`{ group(fullPath: "acme") { vulnerabilities(state: [OPEN]) { nodes { id } } } }`, "invalid value (OPEN)"},
		{`{ group(fullPath: "acme") { vulnerabilities(state: ["DETECTED"]) { nodes { id } } } }`, "non-enum value"},
		{`{ group(fullPath: "acme") { vulnerabilities(after: "!") { nodes { id } } } }`, "Invalid cursor"},
		{`{ group(fullPath: "acme") { name }`, "Parse error"},
		{`subscription { x }`, "Schema is not configured for subscriptions"},
		{``, "Parse error"},
		{`query($a: ID = $a) { group(fullPath: $a) { name } }`, "Parse error"},
		{`fragment A on Group { ...A ...A ...A } { group(fullPath: "acme") { ...A } }`, "Fragment A contains an infinite loop"},
		{`fragment A on Group { ...A } { group(fullPath: "acme") { ...A } }`, "Fragment A contains an infinite loop"},
		{`{ group(fullPath: "acme") { ` + strings.Repeat("name ", 500) + `} }`, "too complex"},
		{doubling, "too complex"},
		{`query($x: Int) { group(fullPath: "acme") { name } }`, "Variable $x is declared by anonymous query but not used"},
		{`fragment A on Group { name } { group(fullPath: "acme") { name } }`, "Fragment A was defined, but not used"},
		{`{ group(fullPath: "acme") { name @often(if: true) } }`, "Directive @often is not defined"},
		{`{ group(fullPath: "acme") { x: name x: fullPath } }`, "conflict"},
		{`{ group(fullPath: ACME) { name } }`, "ID cannot represent"},
		{`{ __schema { types { name } } }`, "is not played"},
		{`mutation { vulnerabilityResolve(input: {}) { errors } }`, "Argument 'id' on InputObject 'VulnerabilityResolveInput' is required"},
		{fmt.Sprintf(`mutation { vulnerabilityResolve(input: {id: "gid://gitlab/Vulnerability/%d"}) { nothing } }`, id), "doesn't exist"},
	} {
		status, got := ask(t, server, token, row.document, nil)
		if status != 200 || !strings.Contains(fmt.Sprint(got.Errors), row.want) {
			t.Errorf("%s: answer %d, errors %v, want %q", row.document, status, got.Errors, row.want)
		}
	}
	if v := must(server.Vulnerability(id)); v.State != gitlabfake.Detected {
		t.Errorf("the state is %s", v.State)
	}
}

// doubling is a document whose fragments double what they hold, many times.
var doubling = func() string {
	text := `{ group(fullPath: "acme") { ...F0 } } fragment F30 on Group { name }`
	for n := range 30 {
		text += fmt.Sprintf(" fragment F%d on Group { ...F%d a%d: name ...F%d }", n, n+1, n, n+1)
	}
	return text
}()

// A variable that GitLab would not read is refused before anything is done.
func TestBadVariables(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{})
	const document = `query($path: ID!, $states: [VulnerabilityState!], $n: Int) {
		group(fullPath: $path) { vulnerabilities(state: $states, first: $n) { nodes { id } } }
	}`
	for _, row := range []struct {
		variables map[string]any
		want      string
	}{
		{map[string]any{"path": nil}, "Variable $path of type ID! was provided invalid value"},
		{map[string]any{"path": true}, "Variable $path of type ID! was provided invalid value"},
		{map[string]any{"path": "acme", "states": []string{"OPEN"}}, "Variable $states of type [VulnerabilityState!] was provided invalid value"},
		{map[string]any{"path": "acme", "states": []string{"DETECTED", "confirmed"}}, "Variable $states of type [VulnerabilityState!] was provided invalid value"},
		{map[string]any{"path": "acme", "states": "detected"}, "Variable $states of type [VulnerabilityState!] was provided invalid value"},
		{map[string]any{"path": "acme", "n": "5"}, "Variable $n of type Int was provided invalid value"},
		{map[string]any{"path": "acme", "n": 1.5}, "Variable $n of type Int was provided invalid value"},
	} {
		status, got := ask(t, server, token, document, row.variables)
		if status != 200 || len(got.Errors) != 1 || !strings.HasPrefix(got.Errors[0].Message, row.want) || got.Data != nil {
			t.Errorf("%v: answer %d, errors %v, want %q", row.variables, status, got.Errors, row.want)
		}
	}
}

// An older GitLab refuses what it does not know.
func TestOlderSchema(t *testing.T) {
	server, c := start(t, gitlabfake.Options{Version: "18.1", Switches: gitlabfake.Switches{NoComment: true}})
	token := server.AddToken(gitlabfake.Token{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	gid := fmt.Sprintf("gid://gitlab/Vulnerability/%d", id)
	_, got := ask(t, server, token, `query($id: VulnerabilityID!) { vulnerability(id: $id) { latestDetectedPipeline { sha } } }`, map[string]any{"id": gid})
	if len(got.Errors) != 1 || got.Errors[0].Message != "Field 'latestDetectedPipeline' doesn't exist on type 'Vulnerability'" {
		t.Errorf("got %v", got.Errors)
	}
	_, got = ask(t, server, token, resolving, map[string]any{"id": gid, "why": "proved"})
	if len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Message, "doesn't accept argument 'comment'") {
		t.Errorf("got %v", got.Errors)
	}
	const whole = `mutation($i: VulnerabilityResolveInput!) { vulnerabilityResolve(input: $i) { errors } }`
	_, got = ask(t, server, token, whole, map[string]any{"i": map[string]any{"id": gid, "comment": "proved"}})
	if len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Message, "Field is not defined on VulnerabilityResolveInput") {
		t.Errorf("got %v", got.Errors)
	}
	response, err := do(t, c, http.MethodPost, vulnerabilityPath(id)+"/confirm", map[string]any{"comment": "seen"}, nil)
	expect(t, "confirm", response, err, 201)
	if v := must(server.Vulnerability(id)); v.State != gitlabfake.Confirmed || v.Comments != 0 {
		t.Errorf("got %s with %d comments", v.State, v.Comments)
	}
	_, got = ask(t, server, token, whole, map[string]any{"i": map[string]any{"id": gid}})
	if len(got.Errors) != 0 || must(server.Vulnerability(id)).State != gitlabfake.Resolved {
		t.Errorf("got %v", got.Errors)
	}
}

func TestDocuments(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	gid := fmt.Sprintf("gid://gitlab/Vulnerability/%d", id)
	for _, row := range []struct{ document, want string }{
		{`{ a: group(fullPath: "acme") { name } a: group(fullPath: "acme") { fullPath } }`, `{"a":{"fullPath":"acme","name":"acme"}}`},
		{`{ vulnerability(id: "` + gid + `") { confirmedBy { __typename } location { ... on VulnerabilityLocationSecretDetection { file } } } currentUser { ... on User { name } } }`, `{"currentUser":{"name":"acme-admin"},"vulnerability":{"confirmedBy":null,"location":{"file":"config/settings.env"}}}`},
		{`{ currentUser { username } }`, `{"currentUser":{"username":"acme-admin"}}`},
		{`{ a: group(fullPath: "acme") { n: name, ... { fullPath } } b: group(fullPath: "x") { id } }`, `{"a":{"fullPath":"acme","n":"acme"},"b":null}`},
		{`query($no: Boolean = false) { project(fullPath: "acme/shop") { name @include(if: $no) path @skip(if: $no) __typename } }`, `{"project":{"__typename":"Project","path":"shop"}}`},
		{`query A { project(fullPath: """acme/shop""") { vulnerabilities(first: 1) { edges { node { id } } } } }`, `{"project":{"vulnerabilities":{"edges":[{"node":{"id":"` + gid + `"}}]}}}`},
		{`{ vulnerability(id: "` + gid + `") { state resolvedAt scanner { externalId } dismissedBy { name } } }`, `{"vulnerability":{"dismissedBy":null,"resolvedAt":null,"scanner":{"externalId":"gitleaks"},"state":"DETECTED"}}`},
		{`{ project(fullPath: "acme/none") { id } vulnerability(id: "gid://gitlab/Vulnerability/1") { id } }`, `{"project":null,"vulnerability":null}`},
		{`{ project(fullPath: "acme/shop") { vulnerabilities(state: RESOLVED) { nodes { id } pageInfo { hasPreviousPage startCursor endCursor } } } }`, `{"project":{"vulnerabilities":{"nodes":[],"pageInfo":{"endCursor":null,"hasPreviousPage":false,"startCursor":null}}}}`},
		{`mutation { vulnerabilityRevertToDetected(input: {id: "` + gid + `"}) { errors } }`, `{"vulnerabilityRevertToDetected":{"errors":[]}}`},
	} {
		status, got := ask(t, server, token, row.document, nil)
		if status != 200 || len(got.Errors) > 0 || string(got.Data) != row.want {
			t.Errorf("%s: answer %d, errors %v, %s, want %s", row.document, status, got.Errors, got.Data, row.want)
		}
	}
}

// FuzzGraphQL sends documents: whatever they are, the answer is JSON with data or errors.
func FuzzGraphQL(f *testing.F) {
	fake := gitlabfake.New(gitlabfake.Options{})
	f.Cleanup(fake.Close)
	token := fake.AddToken(gitlabfake.Token{})
	fake.AddVulnerability(gitlabfake.Vulnerability{})
	for _, seed := range []string{listing, resolving, `{a(b:[1,{c:$d}])@skip(if:true){...e}}`, `{"""`, `query($a:[B!]!=[]){x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		var got map[string]json.RawMessage
		if err := json.Unmarshal(serve(t, fake, token, encode(t, map[string]any{"query": document})), &got); err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		if got["data"] == nil && got["errors"] == nil {
			t.Errorf("%q: got neither data nor errors", document)
		}
	})
}
