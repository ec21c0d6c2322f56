package main_test

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"stanch/dispositions/ibmfake"
)

// browser is a real Chromium, without a window.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	said     []string // on the console, beside what is asked for
	requests []string // the hosts that were asked
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(tool(t, "chromium")), chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			b.requests = append(b.requests, u.Host)
		}
	case *log.EventEntryAdded:
		b.said = append(b.said, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.said = append(b.said, fmt.Sprint("the page wrote to the console: ", len(e.Args)))
	}
}

// heard returns what the console said since it was asked last, and the hosts that were asked.
func (b *browser) heard() (said, hosts []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	said, hosts = b.said, b.requests
	b.said, b.requests = nil, nil
	slices.Sort(hosts)
	return said, slices.Compact(hosts)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// text is what a reader sees.
func (b *browser) text() string { return evaluated[string](b, "document.body.innerText") }

func evaluated[T any](b *browser, expression string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// wait waits for a text to be read, on the page that is there or on the one that comes.
func (b *browser) wait(text string) {
	b.t.Helper()
	has := chromedp.Evaluate[bool](fmt.Sprintf("document.readyState === 'complete' && document.body.innerText.includes(%q)", text))
	for b.ctx.Err() == nil {
		if there, err := chromedp.Run(b.ctx, has); err == nil && there { // between two pages there is none to ask
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("%q did not come", text)
}

// wantAccessible looks at a page on a desk, on a phone of 360 pixels, in the light and in the dark.
func (b *browser) wantAccessible(name string) {
	b.t.Helper()
	for _, width := range []int64{360, 1200} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(chromedp.EmulateViewport(width, 800))
			_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			if err != nil {
				b.t.Fatal(err)
			}
			for _, fault := range evaluated[[]string](b, pageChecks) {
				b.t.Errorf("%s, %d wide, %s: %s", name, width, scheme, fault)
			}
			b.photograph(fmt.Sprintf("%s-%d-%s", name, width, scheme))
		}
	}
}

//go:embed testdata/page.js
var pageChecks string

// photograph keeps a picture where STANCH_PICTURES says, for people to look at.
func (b *browser) photograph(name string) {
	b.t.Helper()
	dir := os.Getenv("STANCH_PICTURES")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// hostileName is a key's name that runs where it is not escaped, and reads otherwise where it is not taken apart.
const hostileName = "<img src=x onerror=\"document.title='run'\"> \u202egnp.eliforp\u202c <script>document.title='run'</script>"

// hostileURL is a long address without a place to break it, which goes on in markup.
var hostileURL = "https://git.example.com/" + strings.Repeat("a", 300) + `"><img src="https://evil.example/x.png">`

// TestPageInABrowser lives through the night of somebody on call: a key leaks whose name is not to be trusted, its incident
// is opened, another site tries to approve it, and a person does, by the keyboard.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	s := newSite(t, ibmfake.Switches{}, "policy: {rules: [{name: ask, when: 'key.setting == \"disable\"', action: disable, approval: true}]}\n")
	s.askForPassword()
	s.startBehindPassword()
	home := "http://" + s.private + "/"
	b.do(chromedp.Navigate("http://alice:correct@" + s.private + "/?reload=off"))
	b.wait("Nothing needs attention now.")
	b.wantAccessible("empty")

	key := leaked{key: ibmfake.Key{Name: hostileName, Setting: "disable", Value: secret(plant + strings.Repeat("0", 32))}}
	key.id, _ = s.iam.AddKey(key.key)
	report := key.record()
	report.URL = hostileURL
	if status := s.post([]record{report}); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	s.waitFor("an incident that is held", func() bool {
		list := s.incidents()
		return len(list) == 1 && list[0].State == "held"
	})
	id := s.incidents()[0].ID
	b.do(chromedp.Navigate(home))
	b.wait("Waits for a person")
	b.wantHarmless("home")
	b.do(chromedp.Click(chromedp.CSS(".cards a")))
	b.wait("What to do next")
	b.wantHarmless("incident")
	if links := evaluated[[]string](b, `[...document.querySelectorAll(".url a")].map((a) => a.rel)`); len(links) != 1 || links[0] != "noopener noreferrer nofollow" {
		t.Errorf("where it was seen has the links %q", links)
	}
	said, hosts := b.heard()
	if len(said) > 0 || len(hosts) != 1 || hosts[0] != s.private {
		t.Errorf("the console said %q; asked were %q", said, hosts)
	}

	b.attack(home + "incidents/" + id + "/approve")
	if now, there := s.iam.Key(key.id); !alive(now, there) {
		t.Fatal("another site had the key disabled")
	}
	b.heard()

	b.do(chromedp.Navigate(home+"incidents/"+id), chromedp.Focus(chromedp.CSS("a.button.approve")), chromedp.KeyEvent("\r"))
	b.wait("What will happen")
	b.wantHarmless("order")
	if focused := evaluated[string](b, "document.activeElement.id"); focused != "reason" {
		t.Errorf("the focus is at %q", focused)
	}
	b.do(chromedp.KeyEvent("checked with the owner\r"))
	b.wait("approved to disable the key: checked with the owner")
	b.wait("proved")
	b.wantHarmless("done")
	if now, there := s.iam.Key(key.id); !disabled(now, there) {
		t.Error("the key is not disabled")
	}
	b.do(chromedp.Navigate(home + "dead"))
	b.wait("There is none.")
	b.wantAccessible("dead")
	if said, hosts := b.heard(); len(said) > 0 || len(hosts) != 1 {
		t.Errorf("the console said %q; asked were %q", said, hosts)
	}
	s.wantNothingPlanted()
}

// wantHarmless looks at a page that shows the hostile name: it is accessible, shows the name, and does nothing of it.
func (b *browser) wantHarmless(name string) {
	b.t.Helper()
	b.wantAccessible(name)
	text := b.text()
	if !strings.Contains(text, "<img src=x onerror=") {
		b.t.Errorf("%s: the name is not shown as it is:\n%s", name, text)
	}
	if strings.ContainsAny(text, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
		b.t.Errorf("%s: what reorders text is in it:\n%q", name, text)
	}
	if !strings.Contains(text, "U+202E") {
		b.t.Errorf("%s: what reorders text is not made visible:\n%s", name, text)
	}
	if n := evaluated[int](b, `document.querySelectorAll("script, iframe, object, main img").length`); n != 0 {
		b.t.Errorf("%s: %d elements of a stranger", name, n)
	}
	if title := evaluated[string](b, "document.title"); title == "run" {
		b.t.Errorf("%s: what a stranger wrote has run", name)
	}
}

// attack opens a page of another site, which posts the form of an order with the credentials that the browser has.
func (b *browser) attack(target string) {
	b.t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>prizes</title><form method="post" action=%q>
<input name="reason" value="you have won"><button>Collect</button></form>`, target)
	}))
	defer evil.Close()
	u, err := url.Parse(evil.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Navigate("http://localhost:"+u.Port()), chromedp.Click(chromedp.CSS("button")))
	b.wait("this was sent from another page: nothing was done")
}
