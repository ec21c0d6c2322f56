package main_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"stanch/dispositions/ibmfake"
)

// collector takes traces by OTLP over HTTP, and keeps them.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	text  strings.Builder // of everything
	spans []*tracepb.Span
}

func newCollector(t testing.TB) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collectorpb.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			t.Errorf("got %d bytes to %s, %v", len(body), r.URL.Path, err)
		}
		c.keep(&request)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) keep(r *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(prototext.Format(r))
	for _, resource := range r.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// kept is what has come so far.
func (c *collector) kept() (spans []*tracepb.Span, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans), c.text.String()
}

// named are the spans of a name.
func named(spans []*tracepb.Span, name string) []*tracepb.Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s *tracepb.Span) bool { return s.Name != name })
}

// says is what a span says under a name.
func says(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// traceTo has the next process send its traces somewhere, soon.
func (s *site) traceTo(url string, more ...string) {
	s.env = append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_BSP_SCHEDULE_DELAY=20"}, more...)
}

// postTraced delivers a key as somebody who wants it traced as he says.
func (s *site) postTraced(k leaked, traceparent string) {
	s.t.Helper()
	body, err := json.Marshal([]record{k.record()})
	if err != nil {
		s.t.Fatal(err)
	}
	header := s.signer.GitHubHeader(body)
	header.Set("Traceparent", traceparent)
	header.Set("Tracestate", "planted=1")
	header.Set("Baggage", "planted=1")
	if status, _ := s.postBody(body, header); status != http.StatusNoContent {
		s.t.Fatalf("got %d", status)
	}
}

// TestOneTrace follows one alert from its delivery to its notice: one trace, which no stranger chose, in which everything is
// below what caused it, and which the log lines of the incident name.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	const stranger = "0af7651916cd43dd8448eb211c80319c"
	s := newSite(t, ibmfake.Switches{}, "")
	c := newCollector(t)
	s.traceTo(c.URL)
	keys := s.population(1)
	s.start()
	s.postTraced(keys[0], "00-"+stranger+"-b7ad6b7169203331-00") // which also says that it is not to be sampled
	s.waitSettled(1)
	s.waitFor("the trace of the notice", func() bool {
		spans, _ := c.kept()
		return len(named(spans, "notice")) > 0
	})
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	spans, text := c.kept()
	delivery := named(spans, "delivery")
	if len(delivery) != 1 || len(delivery[0].ParentSpanId) > 0 || says(delivery[0], "stanch.result") != "stored" {
		t.Fatalf("got deliveries %v, want one that nothing is above", delivery)
	}
	trace := hex.EncodeToString(delivery[0].TraceId)
	if trace == stranger || strings.Contains(text, "b7ad6b7169203331") {
		t.Errorf("the trace is %s, as a stranger said", trace)
	}
	wantOneTrace(t, spans)
	wantTree(t, spans, map[string][]string{
		"delivery": {""},
		"seal":     {"delivery"}, "enqueue": {"delivery"}, "reconcile": {"enqueue"},
		"locate": {"reconcile"}, "decide": {"reconcile"}, "announce": {"reconcile"}, "act": {"reconcile"}, "prove": {"reconcile"},
		"record": {"reconcile", "announce"}, "notice": {"record"},
		"GET": {"locate", "prove"}, "POST": {"locate", "act", "prove"},
	})
	incident := s.incidentInLog(trace)
	reconciled := named(spans, "reconcile")[0]
	if got := says(reconciled, "stanch.incident") + says(reconciled, "stanch.issuer") + says(reconciled, "stanch.state"); got != incident+"ibmcontained" {
		t.Errorf("the reconcile says %s", got)
	}
	for _, want := range []string{`"service.name"`, `"stanch.roles"`, `"service.version"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the resource has no %s", want)
		}
	}
}

func wantOneTrace(t *testing.T, spans []*tracepb.Span) {
	t.Helper()
	for _, s := range spans {
		if string(s.TraceId) != string(spans[0].TraceId) {
			t.Errorf("%s is of another trace than %s", s.Name, spans[0].Name)
		}
	}
}

// wantTree checks that spans of all names are there, each below one of those that it may be below; empty: below none.
func wantTree(t *testing.T, spans []*tracepb.Span, want map[string][]string) {
	t.Helper()
	names := map[string]string{"": ""}
	for _, s := range spans {
		names[string(s.SpanId)] = s.Name
	}
	for _, s := range spans {
		above, sent := names[string(s.ParentSpanId)]
		if !sent || !slices.Contains(want[s.Name], above) {
			t.Errorf("%s is below %q, want %v", s.Name, above, want[s.Name])
		}
	}
	for name := range want {
		if len(named(spans, name)) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestTraceOfAPointer follows a leak of an organisation from its hook over the fetch to the report, and looks for what must
// not be in a trace of it.
func TestTraceOfAPointer(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	c := newCollector(t)
	h.traceTo(c.URL)
	h.start()
	h.raise(1)
	h.github.Wait()
	h.waitFor("the alert resolved", func() bool { return h.resolved() == 1 })
	h.waitFor("all worked off", func() bool {
		metrics := h.get("/metrics")
		return gauge(metrics, `stanch_queue_pending{stream="POINTERS"}`)+gauge(metrics, `stanch_queue_pending{stream="ALERTS"}`) == 0
	})
	if err := h.stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	spans, text := c.kept()
	client := []string{"locate", "act", "prove", "fetch", "report", "sweep", "reconcile"}
	wantTree(t, spans, map[string][]string{
		"delivery": {""}, "seal": {"delivery"}, "enqueue": {"delivery"}, "fetch": {"enqueue"}, "reconcile": {"fetch"},
		"locate": {"reconcile"}, "decide": {"reconcile"}, "announce": {"reconcile"}, "act": {"reconcile"}, "prove": {"reconcile"},
		"record": {"reconcile", "announce", "reported"}, "notice": {"record"}, "report": {"record"}, "reported": {"report"}, "sweep": {""},
		"GET": client, "POST": client, "PATCH": client,
	})
	for _, stranger := range []string{"acme/app-1", "deploy/.env", "/hooks/acme", "/repos/", hookSecret, h.keys[1].id} {
		if strings.Contains(text, stranger) {
			t.Errorf("a trace holds %q", stranger)
		}
	}
	wantNot(t, "a trace", text)
}

// incidentInLog is the one incident that the log tells of. Its lines name the trace, and so does the one of the delivery.
func (s *site) incidentInLog(trace string) (incident string) {
	s.t.Helper()
	lines := 0
	for text := range strings.Lines(s.output.String()) {
		var line struct{ Msg, Incident, Source, Trace_id, Span_id string }
		if json.Unmarshal([]byte(text), &line) != nil || line.Incident == "" && line.Msg != "delivery" {
			continue
		}
		lines++
		if line.Trace_id != trace || len(line.Span_id) != 16 {
			s.t.Errorf("not of trace %s: %s", trace, text)
		}
		if line.Incident != "" {
			incident = line.Incident
		}
	}
	if lines < 6 { // a delivery, and the steps
		s.t.Errorf("the log has %d lines of the alert", lines)
	}
	return incident
}

// TestNotTraced: nothing is sent, and no line names a trace, unless somebody asks for it; and what cannot be had is said.
func TestNotTraced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more []string
		says string
	}{
		"disabled":       {[]string{"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=otlp"}, ""},
		"none":           {[]string{"OTEL_TRACES_EXPORTER=none"}, ""},
		"something else": {[]string{"OTEL_TRACES_EXPORTER=zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"},
		"never sampled":  {[]string{"OTEL_TRACES_SAMPLER=always_off"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, ibmfake.Switches{}, "")
			c2 := newCollector(t)
			s.traceTo(c2.URL, c.more...)
			keys := s.population(1)
			s.start()
			s.postTraced(keys[0], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") // which wants to be sampled
			s.waitSettled(1)
			if err := s.stop(); err != nil {
				t.Errorf("serve ended with %v", err)
			}
			if spans, _ := c2.kept(); len(spans) > 0 {
				t.Errorf("got %d spans", len(spans))
			}
			if !strings.Contains(s.output.String(), c.says) || (c.says != "") != strings.Contains(s.output.String(), "nothing is traced") {
				t.Errorf("the log does not say %q: %.2000s", c.says, s.output)
			}
			if strings.Contains(s.output.String(), "0af7651916cd43dd8448eb211c80319c") {
				t.Error("the log names a stranger's trace")
			}
		})
	}
}

// TestCollectorGone: with a collector that never answers, or is not there, alerts are worked on as ever, the log says what is
// lost, once, and the service ends while it still waits.
func TestCollectorGone(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(over) })
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, plant+"answer", http.StatusUnauthorized)
	}))
	t.Cleanup(refusing.Close)
	const forEver = "3600000" // milliseconds
	for name, c := range map[string]struct {
		url  string
		more []string
		says string
	}{
		"silent": {silent.URL, []string{"OTEL_EXPORTER_OTLP_TIMEOUT=" + forEver, "OTEL_BSP_EXPORT_TIMEOUT=" + forEver}, "the last spans are lost"},
		"slow":   {silent.URL, []string{"OTEL_EXPORTER_OTLP_TIMEOUT=200", "OTEL_BSP_EXPORT_TIMEOUT=500"}, `"msg":"spans are lost","count":`},
		"absent": {"http://" + freeAddress(t), nil, "connection refused"},
		"refuses": {
			strings.Replace(refusing.URL, "//", "//"+plant+"user:"+plant+"password@", 1),
			[]string{"OTEL_EXPORTER_OTLP_HEADERS=" + plant + "broken,authorization=" + plant + "header"},
			"the collector does not take them",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, ibmfake.Switches{}, "")
			s.traceTo(c.url, c.more...)
			keys := s.population(14)
			s.start()
			s.deliver(keys)
			s.waitSettled(len(keys))
			s.wantEnds(keys)
			if name != "silent" {
				s.waitFor("a line of what is lost", func() bool { return strings.Contains(s.output.String(), c.says) })
			}
			guard := time.AfterFunc(patience, func() { _ = s.process.Process.Kill() })
			defer guard.Stop()
			if err := s.stop(); err != nil {
				t.Errorf("serve ended with %v", err)
			}
			if got := strings.Count(s.output.String(), "spans are lost"); got != 1 || !strings.Contains(s.output.String(), c.says) {
				t.Errorf("%d lines say that spans are lost, want one with %q:\n%s", got, c.says, grep(s.output.String(), "{"))
			}
			wantNot(t, "the log", s.output.String())
		})
	}
}
