package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
)

// exchange sends a request as it is written, byte for byte, and returns the answer.
func exchange(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil { // an answer that never comes
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer to %q: %v", request, err)
	}
	return response
}

// TestRefusedDeliveries sends what is no delivery at all to the public listener. Nothing of it is stored, and no issuer is
// asked. A body that is only announced is not waited for.
func TestRefusedDeliveries(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	quiet := len(s.iam.Journal())
	const body = `[{"token":"planted-1","type":"ibm_cloud_iam_key"}]`
	signed := ""
	for name, values := range s.signer.GitHubHeader([]byte(body)) {
		signed += fmt.Sprintf("%s: %s\n", name, values[0])
	}
	unsigned := "Content-Type: application/json\n"
	length := fmt.Sprintf("Content-Length: %d\n", len(body))
	for name, row := range map[string]struct {
		line, header, body string
		want               int
	}{
		"root":                {"GET /", "", "", 404},
		"the private API":     {"GET /api/v1/incidents", "", "", 404},
		"metrics":             {"GET /metrics", "", "", 404},
		"no source":           {"POST /hooks/", signed + length, body, 404},
		"unknown source":      {"POST /hooks/other", signed + length, body, 404},
		"below a source":      {"POST /hooks/gh/more", signed + length, body, 404},
		"a detour":            {"POST /hooks/x/../gh", signed + length, body, 404},
		"GET":                 {"GET /hooks/gh", signed, "", 405},
		"PUT":                 {"PUT /hooks/gh", signed + length, body, 405},
		"DELETE":              {"DELETE /hooks/gh", signed, "", 405},
		"a form":              {"POST /hooks/gh", strings.Replace(signed, "application/json", "application/x-www-form-urlencoded", 1) + length, body, 415},
		"packed":              {"POST /hooks/gh", signed + "Content-Encoding: gzip\n" + length, body, 415},
		"unsigned":            {"POST /hooks/gh", unsigned + length, body, 401},
		"unsigned, no body":   {"POST /hooks/gh", unsigned + length, "", 401},
		"huge, unsigned":      {"POST /hooks/gh", unsigned + "Content-Length: 99999999999\n", "", 401},
		"huge":                {"POST /hooks/gh", signed + "Content-Length: 99999999999\n", "", 413},
		"negative length":     {"POST /hooks/gh", signed + "Content-Length: -1\n", "", 400},
		"two lengths":         {"POST /hooks/gh", signed + length + "Content-Length: 7\n", body, 400},
		"a header of 100 KiB": {"POST /hooks/gh", "X-Long: " + strings.Repeat("x", 100<<10) + "\n", "", 431},
	} {
		request := row.line + " HTTP/1.1\nHost: stanch.example\n" + row.header + "\n" + row.body
		response := exchange(t, s.public, request)
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != row.want {
			t.Errorf("%s: got %d %s, want %d", name, response.StatusCode, text, row.want)
		}
		if allow := response.Header.Get("Allow"); (row.want == 405) != (allow == "POST") {
			t.Errorf("%s: answered %d with Allow: %q", name, response.StatusCode, allow)
		}
		wantNot(t, "the answer to "+name, string(text))
	}
	metrics := s.get("/metrics")
	if alerts := gauge(metrics, `stanch_alerts_total{source="gh"}`); alerts != 0 || len(s.incidents()) != 0 {
		t.Errorf("%d alerts and %d incidents of refused deliveries", alerts, len(s.incidents()))
	}
	if asked := len(s.iam.Journal()) - quiet; asked != 0 || gauge(metrics, "stanch_dead_letters") != 0 {
		t.Errorf("the issuer was asked %d times; metrics: %s", asked, grep(metrics, "stanch_dead"))
	}
	if status := s.post([]record{}); status != http.StatusNoContent {
		t.Errorf("a good delivery afterwards is answered %d", status)
	}
	s.wantNothingPlanted()
}

// TestPrivateListenerOnlyReads asks the private listener for what it must not do.
func TestPrivateListenerOnlyReads(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	for _, row := range []struct {
		line, host string
		want       int
	}{
		{"GET /api/v1/incidents", s.private, 200},
		{"GET /api/v1/incidents", "LOCALHOST:9095", 200},
		{"GET /api/v1/incidents", "[::1]:9095", 200},
		{"GET /api/v1/incidents", "evil.example", 421},
		{"GET /api/v1/incidents", "127.0.0.1.evil.example:9095", 421},
		{"GET /api/v1/incidents/aa", "evil.example", 421},
		{"GET /-/healthy", "probe.example", 200},
		{"GET /metrics", "prometheus.example", 200},
		{"GET /metrics/../api/v1/incidents", "evil.example", 421},
		{"POST /api/v1/incidents", s.private, 405},
		{"DELETE /api/v1/incidents/aa", s.private, 405},
		{"POST /api/v1/incidents/aa/close", s.private, 401},
		{"POST /api/v1/incidents/aa/close", "evil.example", 421},
		{"POST /api/v1/held/approve", s.private, 401},
		{"POST /-/reload", s.private, 401},
		{"POST /-/reload", "evil.example", 421},
		{"GET /-/reload", s.private, 405},
		{"POST /hooks/gh", s.private, 404},
		{"GET /debug/pprof/", s.private, 404},
		{"GET /api/v1/incidents?limit=-1", s.private, 400},
		{"GET /api/v1/incidents?limit=many", s.private, 400},
		{"GET /api/v1/incidents?limit=99999999999999999999", s.private, 400},
		{"GET /api/v1/incidents?state=helld", s.private, 400},
		{"GET /api/v1/incidents/aa", s.private, 404},
		{"GET /api/v1/incidents/%2e%2e%2fmetrics", s.private, 404},
	} {
		response := exchange(t, s.private, row.line+" HTTP/1.1\nHost: "+row.host+"\nContent-Length: 0\n\n")
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != row.want {
			t.Errorf("%s of %s: got %d %.200s, want %d", row.line, row.host, response.StatusCode, text, row.want)
		}
	}
}

// TestAskingForIncidents asks a running serve for incidents that are not there, or not one.
func TestAskingForIncidents(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100}}\n")
	keys := s.population(17) // two of which begin with the same digit
	s.start()
	for _, k := range keys {
		if status := s.post([]record{k.record()}); status != http.StatusNoContent {
			t.Fatalf("got %d", status)
		}
	}
	s.waitSettled(len(keys))
	several := ""
	seen := map[byte]bool{}
	for _, i := range s.incidents() {
		if seen[i.ID[0]] {
			several = i.ID[:1]
		}
		seen[i.ID[0]] = true
		out, err := s.command("incidents", "show", i.ID[:32], "-o", "json")
		var got incident
		if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.ID != i.ID {
			t.Errorf("show %.32s: got %q, %v", i.ID, got.ID, err)
		}
	}
	for id, want := range map[string]string{
		several:                 "stanch: several incidents begin like that: give more of the id\n",
		strings.Repeat("0", 64): "stanch: no such incident\n",
	} {
		if out, err := s.command("incidents", "show", id); exitCode(err) != 1 || out != want {
			t.Errorf("show %s: got %q, %v; want %q", id, out, err, want)
		}
	}
	if response := exchange(t, s.private, "GET /api/v1/incidents/"+several+" HTTP/1.1\nHost: localhost\n\n"); response.StatusCode != 409 {
		t.Errorf("several incidents: got %d, want 409", response.StatusCode)
	}
	if out, err := s.command("incidents", "list", "--state", "held", "-o", "json"); err != nil || strings.TrimSpace(out) != "[]" {
		t.Errorf("a list of none: got %q, %v", out, err)
	}
}

// TestSocketIsGuarded looks at the unix socket, and kills the process so that it is left behind.
func TestSocketIsGuarded(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	socket := filepath.Join(s.dir, "data", "stanch.sock")
	for range 2 {
		s.start()
		info, err := os.Stat(socket)
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Fatalf("the socket has mode %v, %v", info.Mode(), err)
		}
		if len(s.incidents()) != 0 {
			t.Error("an empty store lists incidents")
		}
		s.kill()
		if _, err := os.Stat(socket); err != nil {
			t.Fatalf("a process that was killed leaves no socket, so this shows nothing: %v", err)
		}
		out, err := s.command("incidents", "list")
		if exitCode(err) != 1 || !strings.HasPrefix(out, "stanch: no stanch is running on that store") {
			t.Errorf("with the socket of a dead process: got %q, %v", out, err)
		}
	}
}

// TestBuildInfoNamesTheVersion compares what is scraped with what the command says.
func TestBuildInfoNamesTheVersion(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	out, err := s.command("version")
	if err != nil {
		t.Fatal(err)
	}
	version := strings.Fields(out)[1]
	got := grep(s.get("/metrics"), "stanch_build_info{")
	if version == "" || !strings.Contains(got, fmt.Sprintf(`,version=%q}`, version)) {
		t.Errorf("got %s for version %q", got, version)
	}
}
