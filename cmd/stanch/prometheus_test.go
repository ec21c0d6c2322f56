package main_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tool is the path of a program that a test needs. Without it the test is skipped, except in CI, which installs it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// prometheus is a real one that runs with the configuration and the rules of deploy, faster.
type prometheus struct {
	t       *testing.T
	address string
	log     *lockedBuffer
}

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	binary := tool(t, "prometheus")
	p := &prometheus{t: t, address: freeAddress(t), log: &lockedBuffer{}}
	rules, err := filepath.Abs("../../deploy/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := strings.NewReplacer(
		"15s", "200ms", "rules.yaml]", rules+"]", "localhost:9090", p.address, "alertmanager:9093", freeAddress(t),
		"dns_sd_configs: [{names: [stanch], type: A, port: 9095}]", "static_configs: [{targets: ["+target+"]}]",
	).Replace(fromTop(t, "deploy/prometheus/prometheus.yaml"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address)
	c.Stdout, c.Stderr = p.log, p.log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return p
}

// ask asks the API, and returns false when there is no good answer.
func (p *prometheus) ask(path string, into any) error {
	response, err := http.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// series counts what an expression returns.
func (p *prometheus) series(expression string) (int, error) {
	var data struct {
		Result []json.RawMessage `json:"result"`
	}
	err := p.ask("/api/v1/query?query="+url.QueryEscape(expression), &data)
	return len(data.Result), err
}

func (p *prometheus) has(expression string) bool {
	n, err := p.series(expression)
	return err == nil && n > 0
}

// evaluated reports whether every rule was evaluated, and fails for one that could not be.
func (p *prometheus) evaluated() bool {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string } `json:"rules"`
		} `json:"groups"`
	}
	if err := p.ask("/api/v1/rules", &data); err != nil {
		return false
	}
	rules := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.LastError != "" {
				p.t.Fatalf("%s: %s", rule.Name, rule.LastError)
			}
			if rule.Health == "ok" {
				rules++
			}
		}
	}
	return rules == len(watchRules(p.t))
}

// alerts are those that are pending or fire.
func (p *prometheus) alerts() map[string]string {
	p.t.Helper()
	var data struct {
		Alerts []struct{ Labels, Annotations map[string]string } `json:"alerts"`
	}
	if err := p.ask("/api/v1/alerts", &data); err != nil {
		p.t.Fatal(err)
	}
	active := map[string]string{}
	for _, alert := range data.Alerts {
		active[alert.Labels["alertname"]] = alert.Annotations["description"]
	}
	return active
}

// selector matches one selector of our metrics in an expression.
var selector = regexp.MustCompile(`\b(stanch|process)[_:][a-z0-9_:]+(\{[^}]*\})?`)

// TestPrometheus lets a real Prometheus, as deploy configures it, scrape a stanch under load. Every rule is evaluated, and
// every selector in it selects something, whether the alert fires or not. Every query of the dashboard returns data.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	p := startPrometheus(t, h.private)
	h.start()
	h.waitFor("the first scrape", func() bool { return p.has("stanch_build_info") })
	contained := h.load()
	h.waitFor("the last scrape", func() bool {
		return p.has(`sum(increase(stanch_contain_duration_seconds_count[5m])) > 0 and sum(stanch_incidents{state="contained"}) >= ` + contained)
	})
	h.waitFor("every rule evaluated", p.evaluated)
	for _, rule := range watchRules(t) {
		for _, one := range selector.FindAllString(rule.Expr, -1) {
			if n, err := p.series("last_over_time(" + one + "[1h])"); err != nil || n == 0 {
				t.Errorf("%s%s: %s selects %d series, %v", rule.Record, rule.Alert, one, n, err)
			}
		}
	}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$__range", "5m", "$source", ".*", "$issuer", ".*")
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			// One scrape that takes too long leaves nothing to return until the next.
			h.waitFor("panel "+panel.Title+" returns data: "+target.Expr, func() bool { return p.has(variables.Replace(target.Expr)) })
		}
	}
	for _, name := range []string{"StanchIncidentsFailed", "StanchDeadLetters", "StanchSignaturesFailing"} {
		h.waitFor(name+" is pending or fires", func() bool { return p.alerts()[name] != "" })
	}
	p.wantWords()
}

// wantWords wants words for people in each alert that is pending or fires.
func (p *prometheus) wantWords() {
	p.t.Helper()
	for name, text := range p.alerts() {
		if strings.Contains(text, "error expanding") || strings.Contains(text, "<no value>") {
			p.t.Errorf("%s says %s", name, text)
		}
	}
}

// load is what a stanch sees in a bad week: leaks of a partner and of an organisation, a key that is locked, a record that
// is none, and forged deliveries. It returns how many keys must be contained in the end.
func (h *hooked) load() string {
	h.t.Helper()
	const partner, organisation = 70, 30
	keys := h.population(partner)
	for batch := range slices.Chunk(keys, 7) {
		h.deliver(batch)
	}
	for n := range organisation {
		h.raise(partner + 1 + n)
	}
	body := []byte(`[{"token": 5}]`)
	if status, _ := h.postBody(body, h.signer.GitHubHeader(body)); status != http.StatusNoContent {
		h.t.Fatalf("a record that is none: got %d", status)
	}
	for range 40 {
		h.postBody(body, http.Header{})
	}
	contained := organisation
	for _, k := range keys {
		if k.state == "contained" {
			contained++
		}
	}
	return strconv.Itoa(contained)
}
