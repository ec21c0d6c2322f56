// Package charttest_test renders the Helm chart with Helm's own engine, and holds what comes of it against the types of
// Kubernetes, the restricted pod security standard and the files that the chart shares with the rest of deploy. It is a
// module of its own, so that stanch does not depend on any of these.
package charttest_test

import (
	"bytes"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const chartDir = "../chart"

// shapes are values for one pod of every role, with little and with everything, and for roles in pods of their own.
var shapes = []string{"least.yaml", "everything.yaml", "split.yaml"}

// TestMain keeps Helm from saying at every rendering that the rules and the dashboard are links.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	m.Run()
}

// document is one object that the chart makes.
type document struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	text []byte
}

func values(t *testing.T, file string) chartutil.Values {
	t.Helper()
	v, err := chartutil.ReadValuesFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// render is helm template.
func render(t *testing.T, v chartutil.Values) (map[string]document, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	options := chartutil.ReleaseOptions{Name: "leaks", Namespace: "security", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, v, options, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	documents := map[string]document{}
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			split(t, text, documents)
		}
	}
	return documents, nil
}

func split(t *testing.T, text string, into map[string]document) {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n---") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		d := document{text: []byte(part)}
		if err := yaml.Unmarshal(d.text, &d); err != nil {
			t.Fatalf("%v in\n%s", err, part)
		}
		into[d.Kind+"/"+d.Metadata.Name] = d
	}
}

// decode refuses what the type does not know.
func decode[T any](t *testing.T, d document) T {
	t.Helper()
	var into T
	if err := yaml.UnmarshalStrict(d.text, &into); err != nil {
		t.Errorf("%s/%s: %v in\n%s", d.Kind, d.Metadata.Name, err, d.text)
	}
	return into
}

func TestLint(t *testing.T) {
	for _, file := range shapes {
		for _, message := range lint.All(chartDir, values(t, file), "security", true).Messages {
			if message.Err != nil && !strings.Contains(message.Error(), "icon is recommended") {
				t.Errorf("%s: %v", file, message)
			}
		}
	}
}

// TestObjects wants exactly these objects, each of them as Kubernetes knows it.
func TestObjects(t *testing.T) {
	least := []string{
		"ConfigMap/leaks", "NetworkPolicy/leaks", "PodDisruptionBudget/leaks", "Service/leaks-private",
		"Service/leaks-public", "ServiceAccount/leaks", "StatefulSet/leaks",
	}
	more := []string{"ConfigMap/leaks-dashboard", "Ingress/leaks", "PrometheusRule/leaks", "ServiceMonitor/leaks"}
	apart := []string{
		"ConfigMap/leaks", "Ingress/leaks", "Service/leaks-public", "ServiceMonitor/leaks", "ConfigMap/leaks-operator",
		"Job/leaks-operator", "NetworkPolicy/leaks-operator", "ServiceAccount/leaks-operator",
	}
	for _, role := range roles {
		for _, kind := range []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"} {
			apart = append(apart, kind+"/leaks-"+role)
		}
		apart = append(apart, "Service/leaks-"+role+"-private")
	}
	for file, want := range map[string][]string{
		"least.yaml": least, "everything.yaml": append(more, least...), "split.yaml": apart,
	} {
		documents, err := render(t, values(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(documents)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: got %v", file, got)
		}
		for _, d := range documents {
			decodeKind(t, d)
		}
	}
}

func decodeKind(t *testing.T, d document) {
	t.Helper()
	switch d.Kind {
	case "ConfigMap":
		decode[core.ConfigMap](t, d)
	case "Service":
		decode[core.Service](t, d)
	case "ServiceAccount":
		decode[core.ServiceAccount](t, d)
	case "StatefulSet":
		decode[apps.StatefulSet](t, d)
	case "Deployment":
		decode[apps.Deployment](t, d)
	case "Job":
		decode[batch.Job](t, d)
	case "NetworkPolicy":
		decode[networking.NetworkPolicy](t, d)
	case "Ingress":
		decode[networking.Ingress](t, d)
	case "PodDisruptionBudget":
		decode[disruption.PodDisruptionBudget](t, d)
	case "ServiceMonitor", "PrometheusRule": // the operator's; no type of Kubernetes
	default:
		t.Errorf("%s is no kind that this test knows", d.Kind)
	}
}

func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, file := range shapes {
		for name, pod := range pods(t, file) {
			for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
				if !result.Allowed {
					t.Errorf("%s: %s: %s: %s", file, name, result.ForbiddenReason, result.ForbiddenDetail)
				}
			}
			if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
				t.Errorf("%s: %s gets a token of Kubernetes", file, name)
			}
			for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				if !*c.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s: %s: %s may write to its image", file, name, c.Name)
				}
			}
		}
	}
}

// pods are the pods that a shape has, by the names of what makes them.
func pods(t *testing.T, file string) map[string]core.PodTemplateSpec {
	t.Helper()
	documents, err := render(t, values(t, file))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]core.PodTemplateSpec{}
	for _, d := range documents {
		switch d.Kind {
		case "StatefulSet":
			found[d.Metadata.Name] = decode[apps.StatefulSet](t, d).Spec.Template
		case "Deployment":
			found[d.Metadata.Name] = decode[apps.Deployment](t, d).Spec.Template
		case "Job":
			found[d.Metadata.Name] = decode[batch.Job](t, d).Spec.Template
		}
	}
	return found
}

func statefulSet(t *testing.T, v chartutil.Values) apps.StatefulSet {
	t.Helper()
	documents, err := render(t, v)
	if err != nil {
		t.Fatal(err)
	}
	return decode[apps.StatefulSet](t, documents["StatefulSet/leaks"])
}

// TestMounts wants every secret at its place, and store and keys on volumes of their own.
func TestMounts(t *testing.T) {
	set := statefulSet(t, values(t, "everything.yaml"))
	for _, c := range append(set.Spec.Template.Spec.InitContainers, set.Spec.Template.Spec.Containers...) {
		if c.Image != "registry.example.org/stanch@sha256:0123" {
			t.Errorf("%s runs %s", c.Name, c.Image)
		}
	}
	places := map[string]string{}
	for _, m := range set.Spec.Template.Spec.Containers[0].VolumeMounts {
		places[m.Name] = m.MountPath
	}
	var claims []string
	for _, claim := range set.Spec.VolumeClaimTemplates {
		claims = append(claims, claim.Name)
		if places[claim.Name] == "" {
			t.Errorf("the volume %s is not mounted", claim.Name)
		}
	}
	if !slices.Equal(claims, []string{"keys", "store"}) {
		t.Errorf("got the claims %v", claims)
	}
	var secrets []string
	for _, v := range set.Spec.Template.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			item := source.Secret.Items[0]
			secrets = append(secrets, source.Secret.Name+" "+item.Key+" "+filepath.Join(places[v.Name], item.Path))
		}
	}
	want := []string{"stanch-ibm apikey /etc/stanch/secrets/ibm-apikey", "stanch-github token /etc/stanch/secrets/github-token"}
	if !slices.Equal(secrets, want) {
		t.Errorf("got the secrets %v", secrets)
	}
}

// TestConfigIsGood asks stanch itself. Its secrets are not there, which is all that it may complain of.
func TestConfigIsGood(t *testing.T) {
	binary := build(t)
	for _, file := range []string{"least.yaml", "everything.yaml"} {
		text := configuration(t, file)
		secrets := t.TempDir()
		for _, name := range []string{"ibm-apikey", "github-token"} {
			write(t, filepath.Join(secrets, name), "x")
		}
		config := filepath.Join(t.TempDir(), "stanch.yaml")
		write(t, config, strings.ReplaceAll(text, "/etc/stanch/secrets", secrets))
		if out, err := exec.Command(binary, "check-config", config).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", file, err, out, text)
		}
		for _, want := range []string{"dir: /var/lib/stanch/store", "keys_dir: /var/lib/stanch-keys/keys", "address: :8080"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", file, want, text)
			}
		}
	}
}

// build makes stanch.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stanch")
	build := exec.Command("go", "build", "-o", binary, "./cmd/stanch")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// configuration is the configuration file of a shape.
func configuration(t *testing.T, file string) string {
	t.Helper()
	documents, err := render(t, values(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return decode[core.ConfigMap](t, documents["ConfigMap/leaks"]).Data["stanch.yaml"]
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSharedFiles wants the rules and the dashboard that everybody else has, with the runbook where the values say.
func TestSharedFiles(t *testing.T) {
	documents, err := render(t, values(t, "everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	moved := bytes.ReplaceAll(rules, []byte("https://stanch.example.org/deploy/README.md"), []byte("https://runbook.example.com/stanch"))
	var want any
	if err := yaml.Unmarshal(moved, &want); err != nil {
		t.Fatal(err)
	}
	got := decode[struct {
		APIVersion     string `json:"apiVersion"`
		Kind, Metadata any
		Spec           any
	}](t, documents["PrometheusRule/leaks"])
	if !equal(t, got.Spec, want) {
		t.Errorf("the rules are others:\n%s", documents["PrometheusRule/leaks"].text)
	}
	dashboard, err := os.ReadFile("../grafana/stanch.json")
	if err != nil {
		t.Fatal(err)
	}
	shown := decode[core.ConfigMap](t, documents["ConfigMap/leaks-dashboard"]).Data["stanch.json"]
	if strings.TrimSpace(shown) != strings.TrimSpace(string(dashboard)) {
		t.Error("the dashboard is another")
	}
}

func equal(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// TestRefused gives values that must not be taken.
func TestRefused(t *testing.T) {
	for want, change := range map[string]map[string]any{
		"config.sources and config.issuers": {"config": map[string]any{"sources": []any{}}},
		"prometheusRule.runbookURL":         {"prometheusRule": map[string]any{"enabled": true}},
		"a delivery holds secrets in clear": {"ingress": map[string]any{"enabled": true, "host": "h"}},
	} {
		v := chartutil.CoalesceTables(change, values(t, "least.yaml"))
		if _, err := render(t, v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
