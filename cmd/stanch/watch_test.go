package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// What is named beside the code, and must not part from it.
var watchFiles = []string{
	"deploy/prometheus/rules.yaml", "deploy/prometheus/rules_test.yaml", "deploy/grafana/stanch.json", "deploy/README.md", "README.md",
	metricsPage,
}

// metricsPage lists every metric.
const metricsPage = "deploy/metrics.md"

func fromTop(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// newWatched is a site that has every metric: a source of each kind, and a rule.
func newWatched(t *testing.T) *hooked {
	t.Helper()
	h := newHooked(t, "")
	h.rewrite("stanch.yaml", "policy: {", `policy: {rules: [{name: never, when: 'key.name == "never"', action: disable}], `)
	return h
}

// TestMetricsAreWatched compares the metrics of a running serve with those that rules, dashboard and documents name: each
// that is named exists, and the page of metrics names each that exists.
func TestMetricsAreWatched(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	h.start()
	h.waitFor("every incident is counted", func() bool { return strings.Contains(h.get("/metrics"), "stanch_incidents") })
	exist := families(h.get("/metrics"))
	listed := map[string]bool{}
	for _, file := range watchFiles {
		for _, name := range regexp.MustCompile(`\b(stanch|process|go)_[a-z0-9_]+`).FindAllString(fromTop(t, file), -1) {
			family := familyOf(name, exist)
			listed[family] = listed[family] || file == metricsPage
			if exist[family] == "" {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exist)) {
		if strings.HasPrefix(name, "stanch_") && !listed[name] {
			t.Errorf("%s does not list %s", metricsPage, name)
		}
	}
}

// families are the names of the metrics of a scrape, with their types.
func families(metrics string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			found[name] = kind
		}
	}
	return found
}

// familyOf is the metric that a series belongs to: those of a histogram have three more names.
func familyOf(series string, families map[string]string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(series, suffix); ok && families[base] == "histogram" {
			return base
		}
	}
	return series
}

// watchRule is a rule of rules.yaml.
type watchRule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func watchRules(t *testing.T) []watchRule {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []watchRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(fromTop(t, "deploy/prometheus/rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var rules []watchRule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// TestSharedStateIsNotSummed wants no rule and no panel to add up what each engine, or each process that knows a source, says of
// the same thing.
func TestSharedStateIsNotSummed(t *testing.T) {
	shared := `stanch_(incidents|fuse_held|tokens_live|queue_pending|queue_oldest_age_seconds|dead_letters|public_keys_age_seconds|hook_switched_off)`
	added := regexp.MustCompile(`\b(sum|count|avg)( by \([^)]*\))? ?\(\s*` + shared + `\b`)
	largest := regexp.MustCompile(`\b(max|min)( by \([^)]*\))? ?\((min_over_time\()?` + shared + `\b`)
	expressions := map[string]string{}
	for _, rule := range watchRules(t) {
		expressions[rule.Alert+rule.Record] = rule.Expr
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expressions[p.Title+" "+target.Expr] = target.Expr
		}
	}
	taken := 0
	for name, expression := range expressions {
		if added.MatchString(expression) {
			t.Errorf("%s counts the same once for each process: %s", name, expression)
		}
		if largest.MatchString(expression) {
			taken++
		}
	}
	if taken < 15 {
		t.Errorf("only %d expressions take the largest", taken)
	}
}

// TestAlertsHaveARunbook wants of each alert how urgent it is, what it means and where the runbook tells what to do; and
// of the runbook and of Alertmanager that they know no other alert.
func TestAlertsHaveARunbook(t *testing.T) {
	alerts := map[string]bool{}
	runbook := fromTop(t, "deploy/README.md")
	for _, rule := range watchRules(t) {
		if rule.Alert == "" {
			continue
		}
		alerts[rule.Alert] = true
		if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", rule.Alert, s)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
		want := "https://stanch.example.org/deploy/README.md#" + strings.ToLower(rule.Alert)
		if got := rule.Annotations["runbook_url"]; got != want || !strings.Contains(runbook, "\n### "+rule.Alert+"\n") {
			t.Errorf("%s: its runbook is %s, and its heading is there: %v", rule.Alert, got, strings.Contains(runbook, "\n### "+rule.Alert+"\n"))
		}
		if tests := fromTop(t, "deploy/prometheus/rules_test.yaml"); strings.Count(tests, rule.Alert) < 2 {
			t.Errorf("%s has no test of its firing and of its keeping still", rule.Alert)
		}
	}
	for _, name := range regexp.MustCompile(`\bStanch[A-Z]\w+`).FindAllString(runbook+fromTop(t, "deploy/alertmanager/alertmanager.yaml"), -1) {
		if !alerts[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}

// TestDocumentedCommands wants every command that a document tells people to run to exist.
func TestDocumentedCommands(t *testing.T) {
	pages, err := filepath.Glob("../../deploy/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("got the pages %v of deploy (%v)", pages, err)
	}
	for _, page := range append(pages, "../../README.md") {
		text := fromTop(t, strings.TrimPrefix(page, "../../"))
		for _, found := range regexp.MustCompile("`stanch ([a-z-]+)(?: ([a-z]+))?").FindAllStringSubmatch(text, -1) {
			words := strings.TrimSpace(found[1] + " " + found[2])
			if help := helpOf(t, strings.Fields(words)); !strings.Contains(help, "\n  stanch "+words) {
				t.Errorf("%s: there is no command stanch %s", page, words)
			}
		}
	}
}

// TestEverySecretRotates wants the runbook to say of each file that holds a secret how it is replaced.
func TestEverySecretRotates(t *testing.T) {
	_, rotation, found := strings.Cut(fromTop(t, "deploy/README.md"), "\n## Rotation of every secret\n")
	fields := regexp.MustCompile(`"([a-z_]+_files?)": \{`).FindAllStringSubmatch(fromTop(t, "deploy/stanch.schema.json"), -1)
	if !found || len(fields) < 10 {
		t.Fatalf("a chapter on rotation is there: %v; the configuration has %d files", found, len(fields))
	}
	notSecret := []string{"ca_file", "text_file", "title_file"} // certificates of others, and templates
	for _, field := range fields {
		if !slices.Contains(notSecret, field[1]) && !strings.Contains(rotation, field[1]+"`") {
			t.Errorf("nothing is said of %s", field[1])
		}
	}
}
