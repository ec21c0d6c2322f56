package charttest_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
)

// roles are those that have pods of their own in split.yaml.
var roles = []string{"receiver", "collector", "engine", "notifier"}

// secretFiles are the files that a pod's containers see, with the Secret and the key of each. Every key stands for a whole
// Secret.
func secretFiles(pod core.PodTemplateSpec) map[string]string {
	places := map[string]string{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			places[m.Name] = m.MountPath
		}
	}
	files := map[string]string{}
	add := func(volume, secret string, items []core.KeyToPath) {
		for _, item := range items {
			files[filepath.Join(places[volume], item.Path)] = secret + " " + item.Key
		}
		if len(items) == 0 {
			files[places[volume]] = secret + " every key"
		}
	}
	for _, v := range pod.Spec.Volumes {
		if v.Secret != nil {
			add(v.Name, v.Secret.SecretName, v.Secret.Items)
		}
		if v.Projected != nil {
			for _, source := range v.Projected.Sources {
				add(v.Name, source.Secret.Name, source.Secret.Items)
			}
		}
	}
	return files
}

// TestEachRoleHoldsItsOwn wants each role to see its own secrets, and nobody but the engine to see what opens.
func TestEachRoleHoldsItsOwn(t *testing.T) {
	sealing := map[string]string{
		"/etc/stanch/keys/sealing.recipient": "stanch-sealing sealing.recipient",
		"/etc/stanch/keys/fingerprint.key":   "stanch-sealing fingerprint.key",
	}
	own := map[string]map[string]string{
		"receiver": {
			"/etc/stanch/secrets/github-token": "stanch-github token",
			"/etc/stanch/secrets/acme-hook":    "stanch-acme hook",
		},
		"collector": {"/etc/stanch/secrets/acme-token": "stanch-acme token"},
		"engine": {
			"/etc/stanch/secrets/ibm-apikey": "stanch-ibm apikey",
			"/etc/stanch/keys":               "stanch-keys every key",
		},
		"notifier": {"/etc/stanch/secrets/pagerduty": "stanch-pagerduty routing-key"},
		"operator": {},
	}
	for name, pod := range pods(t, "split.yaml") {
		role := strings.TrimPrefix(name, "leaks-")
		want := own[role]
		want["/etc/stanch/nats/nkey"] = "nats-" + role + " nkey"
		want["/etc/stanch/nats/ca.pem"] = "nats-ca ca.crt"
		if role != "operator" {
			want["/etc/stanch/secrets/web.yaml"] = "stanch-web web.yaml"
		}
		if role != "engine" && role != "notifier" {
			maps.Copy(want, sealing)
		}
		if got := secretFiles(pod); !maps.Equal(got, want) {
			t.Errorf("the %s sees %v, want %v", role, got, want)
		}
		if got := pod.Spec.ServiceAccountName; got != name {
			t.Errorf("the %s runs as %s", role, got)
		}
	}
}

// goodFile is what stands in a secret file, by its extension.
var goodFile = map[string]string{"": "one-of-our-secrets-0123456789", ".yaml": "{}", ".pem": "x", ".key": "x", ".recipient": "x"}

// TestRolesReadTheirConfig lets stanch read the configuration as each role, with the files that its pod has and no other.
func TestRolesReadTheirConfig(t *testing.T) {
	binary := build(t)
	text := configuration(t, "split.yaml")
	for name, pod := range pods(t, "split.yaml") {
		role := strings.TrimPrefix(name, "leaks-")
		root := t.TempDir()
		for path := range secretFiles(pod) {
			if path == "/etc/stanch/keys" {
				continue
			}
			if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(root, path), goodFile[filepath.Ext(path)])
		}
		config := filepath.Join(root, "stanch.yaml")
		write(t, config, strings.ReplaceAll(text, "/etc/stanch", filepath.Join(root, "etc/stanch")))
		inside := strings.NewReplacer("/etc/stanch/stanch.yaml", config, "/etc/stanch", filepath.Join(root, "etc/stanch"))
		args := pod.Spec.Containers[0].Args
		if role != "operator" {
			args = pod.Spec.InitContainers[0].Args
		}
		args = slices.Clone(args)
		for n := range args {
			args[n] = inside.Replace(args[n])
		}
		out, err := exec.Command(binary, args...).CombinedOutput()
		// The operator's job does not stop at reading it: the next thing is the keys, which are damaged here.
		if role == "operator" && !strings.Contains(string(out), "no stanch-fingerprint-1 file") || role != "operator" && err != nil {
			t.Errorf("%s: stanch %v: %v\n%s\n%s", role, args, err, out, text)
		}
	}
	for _, want := range []string{
		"dir: /run/stanch", "nkey_file: /etc/stanch/nats/nkey", "ca_file: /etc/stanch/nats/ca.pem", "keys_dir: /etc/stanch/keys",
	} {
		if !strings.Contains(text, want) || strings.Contains(text, "embedded") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// matches reports whether a pod has all labels of a selector.
func matches(selector map[string]string, pod core.PodTemplateSpec) bool {
	for name, value := range selector {
		if pod.Labels[name] != value {
			return false
		}
	}
	return true
}

// selected are the pods of a shape that a selector finds.
func selected(all map[string]core.PodTemplateSpec, selector map[string]string) []string {
	var found []string
	for name, pod := range all {
		if matches(selector, pod) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// TestSelectors wants every budget, policy and service to find the pods of its role and no other, and each pod to have one
// policy.
func TestSelectors(t *testing.T) {
	all := pods(t, "split.yaml")
	documents, err := render(t, values(t, "split.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range documents {
		var selector map[string]string
		switch d.Kind {
		case "NetworkPolicy":
			selector = decode[networking.NetworkPolicy](t, d).Spec.PodSelector.MatchLabels
		case "PodDisruptionBudget":
			selector = decode[disruption.PodDisruptionBudget](t, d).Spec.Selector.MatchLabels
		case "Service":
			selector = decode[core.Service](t, d).Spec.Selector
		default:
			continue
		}
		want := strings.TrimSuffix(d.Metadata.Name, "-private")
		if want == "leaks-public" {
			want = "leaks-receiver"
		}
		if got := selected(all, selector); !slices.Equal(got, []string{want}) {
			t.Errorf("%s finds %v", name, got)
		}
	}
	for name, pod := range all {
		for _, spread := range pod.Spec.TopologySpreadConstraints {
			if got := selected(all, spread.LabelSelector.MatchLabels); !slices.Equal(got, []string{name}) {
				t.Errorf("%s spreads %v", name, got)
			}
		}
	}
}

// TestWhoReachesWhom wants the ingress to lead to the receiver alone, nobody else to take anything but questions for metrics, and
// nobody to reach further than the role needs.
func TestWhoReachesWhom(t *testing.T) {
	documents, err := render(t, values(t, "split.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range decode[networking.Ingress](t, documents["Ingress/leaks"]).Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			if got := path.Backend.Service.Name; got != "leaks-public" || path.Path != "/hooks/" {
				t.Errorf("the ingress leads from %s to %s", path.Path, got)
			}
		}
	}
	in := map[string]string{"receiver": "[public] [private] ", "operator": ""}
	out := map[string]string{"engine": "[53 53] [4222 8222] 10.9.0.0/16[443] ", "operator": "[53 53] [4222 8222] "}
	for _, role := range append(roles, "operator") {
		policy := decode[networking.NetworkPolicy](t, documents["NetworkPolicy/leaks-"+role]).Spec
		var from, to strings.Builder
		for _, rule := range policy.Ingress {
			_, _ = fmt.Fprintf(&from, "%v ", ports(rule.Ports))
		}
		for _, rule := range policy.Egress {
			if block := rule.To[0].IPBlock; block != nil {
				to.WriteString(block.CIDR)
			}
			_, _ = fmt.Fprintf(&to, "%v ", ports(rule.Ports))
		}
		wantIn, other := in[role]
		if !other {
			wantIn = "[private] "
		}
		wantOut, other := out[role]
		if !other {
			wantOut = "[53 53] [4222 8222] 0.0.0.0/0[443] "
		}
		if from.String() != wantIn || to.String() != wantOut || len(policy.PolicyTypes) != 2 {
			t.Errorf("the %s is reached at %v and reaches %v", role, from.String(), to.String())
		}
	}
}

func ports(list []networking.NetworkPolicyPort) []string {
	var words []string
	for _, p := range list {
		words = append(words, p.Port.String())
	}
	return words
}

// TestSplitRefused gives values for split roles that must not be taken.
func TestSplitRefused(t *testing.T) {
	for want, change := range map[string]map[string]any{
		"which roles need ibm-apikey": {"secrets": []any{map[string]any{"file": "ibm-apikey", "secret": "s", "key": "k"}}},
		"nats.secrets.engine":         {"nats": map[string]any{"secrets": map[string]any{"engine": ""}}},
		"keys.engine":                 {"keys": map[string]any{"engine": ""}},
		"keys.sealing":                {"keys": map[string]any{"sealing": ""}},
	} {
		v := chartutil.CoalesceTables(change, values(t, "split.yaml"))
		if _, err := render(t, v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRoleLeftOut wants nothing of a role without replicas.
func TestRoleLeftOut(t *testing.T) {
	none := map[string]any{"roles": map[string]any{"collector": map[string]any{"replicas": 0}}}
	documents, err := render(t, chartutil.CoalesceTables(none, values(t, "split.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for name := range documents {
		if strings.Contains(name, "collector") {
			t.Errorf("there is a %s", name)
		}
	}
	if len(documents) < 20 {
		t.Errorf("only %d objects are left", len(documents))
	}
}
