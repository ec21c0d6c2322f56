package gitlabfake

import (
	"strconv"
	"strings"
	"time"
)

// unions are the types that are one of others. Only secrets are found here.
var unions = map[string][]string{
	"VulnerabilityLocation": {"VulnerabilityLocationSecretDetection"},
}

// schema is GitLab's schema as far as it is played, by type and field. What is not here is refused, as GitLab refuses what
// is not in its own.
var schema = map[string]map[string]field{
	"Query": {
		"currentUser":   {of: "CurrentUser", get: func(e *execution, _ any, _ inputs) any { return e.call.token }},
		"group":         {arguments: fullPath, needs: fullPath, of: "Group", get: queryGroup},
		"project":       {arguments: fullPath, needs: fullPath, of: "Project", get: queryProject},
		"vulnerability": {arguments: []string{"id"}, needs: []string{"id"}, of: "Vulnerability", get: queryVulnerability},
	},
	"Mutation": {
		"vulnerabilityConfirm":          mutation(Confirmed),
		"vulnerabilityResolve":          mutation(Resolved),
		"vulnerabilityDismiss":          mutation(Dismissed),
		"vulnerabilityRevertToDetected": mutation(Detected),
	},
	"CurrentUser": {
		"id":       {get: func(e *execution, of any, _ inputs) any { return globalID("User", e.call.fake.user(of.(*token).Login)) }},
		"username": plain(func(t *token) any { return t.Login }),
		"name":     plain(func(t *token) any { return t.Login }),
	},
	"User": {
		"username": plain(func(login string) any { return login }),
		"name":     plain(func(login string) any { return login }),
	},
	"Group": {
		"id":              plain(func(g *group) any { return globalID("Group", g.id) }),
		"name":            plain(func(g *group) any { return name(g.path) }),
		"fullPath":        plain(func(g *group) any { return g.path }),
		"webUrl":          plain(func(g *group) any { return htmlURL + "/groups/" + g.path }),
		"vulnerabilities": {arguments: vulnerabilityArguments, of: "VulnerabilityConnection", get: groupVulnerabilities},
	},
	"Project": {
		"id":              plain(func(p *project) any { return globalID("Project", p.id) }),
		"name":            plain(func(p *project) any { return name(p.path) }),
		"path":            plain(func(p *project) any { return name(p.path) }),
		"fullPath":        plain(func(p *project) any { return p.path }),
		"webUrl":          plain(func(p *project) any { return p.url() }),
		"vulnerabilities": {arguments: vulnerabilityArguments, of: "VulnerabilityConnection", get: projectVulnerabilities},
	},
	"VulnerabilityConnection": {
		"nodes":    part("Vulnerability", func(c *connection) any { return c.nodes() }),
		"edges":    part("VulnerabilityEdge", func(c *connection) any { return c.edges() }),
		"pageInfo": part("PageInfo", func(c *connection) any { return c }),
	},
	"VulnerabilityEdge": {
		"node":   part("Vulnerability", func(e edge) any { return e.v }),
		"cursor": plain(func(e edge) any { return e.cursor() }),
	},
	"PageInfo": {
		"hasNextPage":     plain(func(c *connection) any { return c.more }),
		"hasPreviousPage": plain(func(c *connection) any { return c.before }),
		"startCursor":     plain((*connection).startCursor),
		"endCursor":       plain((*connection).endCursor),
	},
	"VulnerabilityPayload": {
		"vulnerability":    part("Vulnerability", func(p payload) any { return p.shown() }),
		"errors":           plain(func(p payload) any { return p.errors }),
		"clientMutationId": plain(func(p payload) any { return p.client }),
	},
	"Vulnerability": {
		"id":                      plain(func(v *vulnerability) any { return globalID("Vulnerability", v.ID) }),
		"uuid":                    plain(func(v *vulnerability) any { return v.uuid }),
		"title":                   plain(func(v *vulnerability) any { return v.Title }),
		"description":             plain(func(v *vulnerability) any { return v.Title }),
		"state":                   plain(func(v *vulnerability) any { return strings.ToUpper(string(v.State)) }),
		"severity":                plain(func(v *vulnerability) any { return strings.ToUpper(v.Severity) }),
		"reportType":              plain(func(v *vulnerability) any { return strings.ToUpper(v.ReportType) }),
		"resolvedOnDefaultBranch": plain(func(v *vulnerability) any { return v.Gone }),
		"presentOnDefaultBranch":  plain(func(*vulnerability) any { return true }),
		"vulnerabilityPath":       plain(func(v *vulnerability) any { return v.path() }),
		"webUrl":                  plain(func(v *vulnerability) any { return v.url() }),
		"detectedAt":              plain(func(v *vulnerability) any { return instant(v.CreatedAt) }),
		"updatedAt":               plain(func(v *vulnerability) any { return instant(v.UpdatedAt) }),
		"confirmedAt":             plain(func(v *vulnerability) any { return instant(v.ConfirmedAt) }),
		"resolvedAt":              plain(func(v *vulnerability) any { return instant(v.ResolvedAt) }),
		"dismissedAt":             plain(func(v *vulnerability) any { return instant(v.DismissedAt) }),
		"stateComment":            plain(func(v *vulnerability) any { return null(v.Comment) }),
		"confirmedBy":             part("User", func(v *vulnerability) any { return v.who(v.ConfirmedAt) }),
		"resolvedBy":              part("User", func(v *vulnerability) any { return v.who(v.ResolvedAt) }),
		"dismissedBy":             part("User", func(v *vulnerability) any { return v.who(v.DismissedAt) }),
		"project":                 part("Project", func(v *vulnerability) any { return v.project }),
		"location":                part("VulnerabilityLocation", func(v *vulnerability) any { return v }),
		"scanner":                 part("VulnerabilityScanner", func(v *vulnerability) any { return v }),
		"primaryIdentifier":       part("VulnerabilityIdentifier", func(v *vulnerability) any { return v }),
		"identifiers":             part("VulnerabilityIdentifier", func(v *vulnerability) any { return []any{v} }),
		"initialDetectedPipeline": part("Pipeline", func(v *vulnerability) any { return v }),
		"latestDetectedPipeline":  part("Pipeline", func(v *vulnerability) any { return v }),
	},
	// Unlike in hooks and reports, lines are texts here, and there is no commit but in the path.
	"VulnerabilityLocationSecretDetection": {
		"file":             plain(func(v *vulnerability) any { return v.File }),
		"startLine":        plain(func(v *vulnerability) any { return strconv.Itoa(v.Line) }),
		"endLine":          plain(func(v *vulnerability) any { return strconv.Itoa(v.Line) }),
		"blobPath":         plain(func(v *vulnerability) any { return v.blobPath() }),
		"vulnerableClass":  plain(func(*vulnerability) any { return nil }),
		"vulnerableMethod": plain(func(*vulnerability) any { return nil }),
	},
	"VulnerabilityScanner": {
		"externalId": plain(func(*vulnerability) any { return "gitleaks" }),
		"name":       plain(func(*vulnerability) any { return "Gitleaks" }),
	},
	"VulnerabilityIdentifier": {
		"externalType": plain(func(v *vulnerability) any { return v.identifier()["external_type"] }),
		"externalId":   plain(func(v *vulnerability) any { return v.identifier()["external_id"] }),
		"name":         plain(func(v *vulnerability) any { return v.identifier()["name"] }),
		"url":          plain(func(*vulnerability) any { return nil }),
	},
	"Pipeline": {
		"id":     plain(func(v *vulnerability) any { return globalID("Ci::Pipeline", v.pipeline) }),
		"sha":    plain(func(v *vulnerability) any { return v.Commit }),
		"commit": part("Commit", func(v *vulnerability) any { return v }),
	},
	"Commit": {
		"sha": plain(func(v *vulnerability) any { return v.Commit }),
	},
}

// newer says since when there are fields that older versions do not know.
var newer = map[string]map[string]version{
	"Vulnerability": {"initialDetectedPipeline": {18, 2}, "latestDetectedPipeline": {18, 2}},
}

// types are those of the arguments, which the variables that stand for them must have, too.
var types = map[string]string{
	"fullPath": "ID", "id": "VulnerabilityID", "comment": "String", "clientMutationId": "String", "first": "Int",
	"after": "String", "reportType": "VulnerabilityReportType", "state": "VulnerabilityState",
	"severity": "VulnerabilitySeverity", "sort": "VulnerabilitySort", "dismissalReason": "VulnerabilityDismissalReason",
}

// fullPath names what is looked up by its path.
var fullPath = []string{"fullPath"}

// plain makes a scalar field that is read off a value.
func plain[T any](get func(T) any) field { return part("", get) }

// part makes a field of another type that is read off a value.
func part[T any](of string, get func(T) any) field {
	return field{of: of, get: func(_ *execution, from any, _ inputs) any { return get(from.(T)) }}
}

// instant writes a time as GraphQL does, in whole seconds; null for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// who is who changed the state at a time; null for the zero time.
func (v *vulnerability) who(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return v.By
}
