package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

// Orders takes what people order, exactly as the API takes it. Its methods are safe for concurrent use.
type Orders interface {
	// Actor returns who sent a request, or why that is not known.
	Actor(r *http.Request) (string, error)
	// Order gives an order for one incident, OrderHeld for all that the fuse holds of an account. They return a sentence of
	// what was taken.
	Order(ctx context.Context, id leak.Fingerprint, o dispositions.Order) (string, error)
	OrderHeld(ctx context.Context, account ledger.Account, o dispositions.Order) (string, error)
	// Answer returns the status and the message for an order that was not taken.
	Answer(err error) (status int, told error)
	// Foresee says what would follow from an order, one sentence each. It changes nothing.
	Foresee(ctx context.Context, i leak.Incident, seen leak.Sighting, v dispositions.Verb) ([]string, error)
}

// page answers browsers.
type page struct {
	Config
	outcomes outcomes
}

// view is what one template shows.
type view struct {
	template string
	status   int // 0: 200
	data     any
}

// frame is what every page has around it.
type frame struct {
	Made    time.Time
	Actor   string // empty: nobody signed in
	Refresh int    // seconds until the page is asked for again; 0: never
	Body    any
}

// problem is an error that is shown to the reader, with its HTTP status.
type problem struct {
	status int
	text   string
}

// Error returns what the reader is told.
func (p *problem) Error() string { return p.text }

var (
	errElsewhere = &problem{http.StatusForbidden, "this was sent from another page: nothing was done"}
	errIndexing  = &problem{http.StatusServiceUnavailable, "stanch has just started and is still reading its log: ask again in a moment"}
)

// indexTimeout is how long a reader waits for the index, which is folded anew at every start.
const indexTimeout = 5 * time.Second

// shower makes a page for somebody who signed in; empty: nobody did.
type shower func(r *http.Request, by string) (view, error)

// shown answers with a page, or with what is wrong.
func (p *page) shown(show shower) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, _ := p.Orders.Actor(r)
		v, err := view{}, p.wait(r.Context())
		if err == nil {
			v, err = show(r, by)
		}
		if err != nil {
			v = p.wrong(err)
		}
		p.write(w, by, v)
	})
}

// wait waits until the index knows every incident, because half a list looks like a whole one.
func (p *page) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	select {
	case <-p.Index.Ready():
		return nil
	case <-ctx.Done():
		return errIndexing
	}
}

// wrong is the page that tells of an error.
func (p *page) wrong(err error) view {
	told := p.problem(err)
	return view{"problem", told.status, told.text}
}

// problem is what a reader is told of an error.
func (p *page) problem(err error) *problem {
	if told, ok := errors.AsType[*problem](err); ok {
		return told
	}
	status, told := p.Orders.Answer(err)
	return &problem{status, told.Error()}
}

func (p *page) write(w http.ResponseWriter, by string, v view) {
	f := frame{Made: time.Now(), Actor: by, Body: v.data}
	if l, ok := v.data.(live); ok {
		f.Refresh = l.refresh()
	}
	var out bytes.Buffer
	if err := templates[v.template].ExecuteTemplate(&out, "layout", f); err != nil {
		p.Log.Error("writing a page", "page", v.template, "err", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	guardAgainst(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(max(v.status, http.StatusOK))
	_, _ = w.Write(out.Bytes()) // the reader is gone
}

// live is a page that reloads itself.
type live interface{ refresh() (seconds int) }

// policy lets a page load its own files and post to its own site. No script runs.
var policy = strings.Join([]string{
	"default-src 'none'", "style-src 'self'", "img-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
}, "; ")

// guardAgainst sets headers that keep a browser from doing more with a page than showing it. With no referrer at all, browsers would
// not send an origin either, by which older ones tell us that a form is our own.
func guardAgainst(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// templates are the pages, each with the layout around it.
var templates = func() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{"home", "incident", "order", "dead", "problem"} {
		all[name] = template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return all
}()
