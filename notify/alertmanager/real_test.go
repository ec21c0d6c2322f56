package alertmanager_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/notify"
	"stanch/notify/alertmanager"
	"stanch/notify/notifytest"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// notification is what an Alertmanager sends to a webhook.
type notification struct {
	Status string  `json:"status"`
	Alerts []alert `json:"alerts"`
}

// receive starts a webhook that an Alertmanager notifies.
func receive(t *testing.T) (string, <-chan notification) {
	received := make(chan notification, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n notification
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Errorf("got a notification that is not JSON: %v", err)
		}
		received <- n
	}))
	t.Cleanup(server.Close)
	return server.URL, received
}

const anyPort = "127.0.0.1:0"

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// startReal starts Debian's Alertmanager at an address, with nothing in its store. It notifies a webhook at once. Its
// address is returned, and what ends it.
func startReal(t *testing.T, webhook, address string) (listens string, stop func()) {
	t.Helper()
	binary, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("prometheus-alertmanager is not installed")
		}
		t.Skip("prometheus-alertmanager is not installed")
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
route: {receiver: hook, group_by: [incident], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`, webhook)
	if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "--config.file="+filepath.Join(dir, "config.yml"),
		"--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			go func() {
				for lines.Scan() { // so that it can go on writing
				}
			}()
			return match[1], stop
		}
	}
	t.Fatal("Alertmanager ended before it listened")
	return "", nil
}

// TestRealAlertmanager: the real one takes the alert of an incident, tells of it, knows it by our labels, and tells that it
// is resolved.
func TestRealAlertmanager(t *testing.T) {
	hook, received := receive(t)
	address, _ := startReal(t, hook, anyPort)
	n, err := (&alertmanager.Config{URLs: []string{"http://" + address}}).Open("am", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	failed := notice(notify.Opened, leak.Failed, leak.Critical, 0)
	settled := notice(notify.Settled, leak.Contained, leak.Warning, 1)
	for _, row := range []struct {
		sent   notify.Notice
		status string
	}{{failed, "firing"}, {settled, "resolved"}} {
		row.sent.At = time.Now()
		notifytest.Tell(t, n, row.sent, row.sent)
		got := <-received
		if got.Status != row.status || len(got.Alerts) != 1 {
			t.Fatalf("got %+v, want one alert that is %s", got, row.status)
		}
		a := got.Alerts[0]
		if a.Labels["state"] != "failed" || a.Annotations["summary"] != row.sent.Title ||
			!strings.Contains(a.Annotations["description"], row.sent.Facts[0].Text) {
			t.Errorf("got %+v, want the labels of the opened alert and the words of %q", a, row.sent.Title)
		}
	}
	findings := n.(notify.Examiner).Examine(t.Context())
	if len(findings) != 1 || findings[0].Result != leak.Good {
		t.Errorf("got %v, want it examined and good", findings)
	}
}

// TestRealRestart: an Alertmanager that lost everything in a restart is told again what fires, and tells of it again.
func TestRealRestart(t *testing.T) {
	hook, received := receive(t)
	ports, err := vendorfake.Ports(1) // one that is free again after the restart
	if err != nil {
		t.Fatal(err)
	}
	address, stop := startReal(t, hook, fmt.Sprintf("127.0.0.1:%d", ports[0]))
	n, err := (&alertmanager.Config{
		URLs: []string{"http://" + address}, Repeat: 50 * time.Millisecond,
	}).Open("am", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	sent := notice(notify.Opened, leak.Failed, leak.Critical, 0)
	notifytest.Tell(t, n, sent)
	run(t, n, func() {
		for i := range 2 {
			if got := <-received; got.Status != "firing" || got.Alerts[0].Annotations["summary"] != sent.Title {
				t.Errorf("got %+v, want it firing", got)
			}
			if i == 0 {
				stop()
				startReal(t, hook, address)
			}
		}
	})
}

// TestRealRefusal: what the real one refuses is a refusal, and names nobody.
func TestRealRefusal(t *testing.T) {
	hook, _ := receive(t)
	address, _ := startReal(t, hook, anyPort)
	n, err := (&alertmanager.Config{URLs: []string{"http://" + address + "/wrong-prefix"}}).Open("am", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = n.Notify(t.Context(), notice(notify.Opened, leak.Failed, leak.Critical, 0))
	if err == nil || strings.Contains(err.Error(), "wrong-prefix") {
		t.Errorf("got %v, want an error that does not name the URL", err)
	}
}
