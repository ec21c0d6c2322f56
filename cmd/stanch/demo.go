package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stanch/dispositions/ibmcloud/ibmtest"
	"stanch/receiver/leak"
	"stanch/receiver/sourcetest"
)

// demoTimeout is how long the demo waits for the last key. It takes a fraction of a second; a failing one must end.
const demoTimeout = 30 * time.Second

func newDemo() *cobra.Command {
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole pipeline, with no account anywhere",
		Long: `Demo runs the service as 'stanch serve' does, against a fake IBM Cloud IAM and a fake GitHub in the same process,
posts signed deliveries of leaked sample keys, and prints what becomes of each. It ends by itself, with exit code 0 only
if every sample key ended as its policy says. With --keep it stays up until it is interrupted.`,
		Example: "  stanch demo\n  stanch demo --keep",
		Args:    cobra.NoArgs,
	}
	keep := command.Flags().Bool("keep", false, "stay up, so that the commands can be tried")
	command.RunE = func(command *cobra.Command, _ []string) error {
		return demo(command.Context(), command.OutOrStdout(), *keep)
	}
	return command
}

// sample is a leaked key of the demo, and how it has to end.
type sample struct {
	what   string // what is said of it
	key    ibmtest.Key
	state  leak.State
	action leak.Action
	alive  bool // at the issuer, afterwards

	value leak.Secret
}

func samples() []*sample {
	key := func(name, setting string) ibmtest.Key { return ibmtest.Key{Name: name, Setting: setting} }
	locked, disabled := key("billing-export", "delete"), key("old-laptop", "disable")
	locked.Locked, disabled.Disabled = true, true
	return []*sample{
		{what: "set to disable", key: key("ci-deploy", "disable"), state: leak.Contained, action: leak.Disable},
		{what: "set to delete", key: key("load-test", "delete"), state: leak.Contained, action: leak.Delete},
		{what: "set to none", key: key("docs-search", "none"), state: leak.Left, action: leak.Nothing, alive: true},
		{what: "not set at all", key: key("intern-2024", ""), state: leak.Contained, action: leak.Disable},
		{what: "locked", key: locked, state: leak.Failed, action: leak.Delete, alive: true},
		{what: "disabled already", key: disabled, state: leak.Contained, action: leak.Disable},
		{what: "known to nobody", state: leak.Unknown, action: leak.Nothing},
	}
}

func demo(ctx context.Context, out io.Writer, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "stanch-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := newDemonstration(dir, out)
	if err != nil {
		return err
	}
	defer d.close()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended, err := d.start(ctx)
	if err != nil {
		return err
	}
	err = d.show(ctx)
	if keep && err == nil {
		d.invite()
		<-ctx.Done()
	}
	stop()
	return errors.Join(err, <-ended)
}

// demonstration is everything that the demo runs: the service, and the world around it.
type demonstration struct {
	dir     string
	out     io.Writer
	samples []*sample
	iam     *ibmtest.Server
	hub     *hub
	lab     *lab
	signer  *sourcetest.Signer
	keys    *http.Server
	keysURL string
	public  string // URL
	private string // URL
}

func newDemonstration(dir string, out io.Writer) (*demonstration, error) {
	signer, err := sourcetest.NewSigner()
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	iam, err := ibmtest.Start(ibmtest.Options{Switches: ibmtest.Switches{Unset: "absent"}})
	if err != nil {
		return nil, fmt.Errorf("starting the fake IAM: %w", err)
	}
	hub, err := newHub(iam)
	if err != nil {
		iam.Close()
		return nil, err
	}
	lab, err := newLab(iam)
	if err != nil {
		iam.Close()
		hub.Close()
		return nil, err
	}
	d := &demonstration{dir: dir, out: out, samples: samples(), iam: iam, hub: hub, lab: lab, signer: signer}
	if err := d.publishKeys(); err != nil {
		iam.Close()
		hub.Close()
		lab.close()
		return nil, err
	}
	for _, s := range d.samples {
		s.value = leak.NewSecret("EXAMPLE-nobody-knows-this-key-0000000000000")
		if s.key.Name != "" {
			s.key.ID, s.value = iam.AddKey(s.key)
		}
	}
	return d, nil
}

// publishKeys serves the public key of the played GitHub.
func (d *demonstration) publishKeys() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("publishing the demo's key: %w", err)
	}
	d.keysURL = "http://" + listener.Addr().String()
	d.keys = &http.Server{Handler: sourcetest.NewKeyServer(d.signer), ReadHeaderTimeout: headerTimeout}
	go func() { _ = d.keys.Serve(listener) }() // until close
	return nil
}

func (d *demonstration) close() {
	d.iam.Close()
	d.hub.Close()
	d.lab.close()
	_ = d.keys.Close()
}

// configure writes the configuration of the demo, and reads it as serve does.
func (d *demonstration) configure() (*Config, error) {
	_, own := d.iam.AddKey(ibmtest.Key{Name: "stanch", Administrator: true})
	keyFile := filepath.Join(d.dir, "apikey")
	if err := os.WriteFile(keyFile, []byte(own.Reveal()), 0o600); err != nil {
		return nil, fmt.Errorf("writing the demo's key: %w", err)
	}
	acme, err := d.hub.configure(d.dir)
	if err != nil {
		return nil, err
	}
	gitlab, err := d.lab.configure(d.dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(d.dir, "stanch.yaml")
	text := fmt.Sprintf(`store: {embedded: {dir: %q}}
keys_dir: %q
web: {public: {address: "127.0.0.1:0"}, private: {address: "127.0.0.1:0"}}
sources:
  - {name: github, type: github_partner, keys_url: %q}
%sissuers:
  - {name: ibm, type: ibmcloud, url: %q, auth: {apikey_file: %q}, token_types: [ibm_cloud_iam_key, %s, %s]}
notifiers:
  - {name: console, type: console, gather_after: 1000}
`, d.store(), filepath.Join(d.dir, "keys"), d.keysURL, acme+gitlab, d.iam.URL(), keyFile, demoPattern, demoRuleType)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the demo's configuration: %w", err)
	}
	config, faults := Load(file)
	if len(faults) > 0 {
		return nil, fmt.Errorf("the demo's configuration: %s", faults[0])
	}
	return config, nil
}

func (d *demonstration) store() string { return filepath.Join(d.dir, "data") }

// start runs the service until ctx ends; its last error comes from the channel.
func (d *demonstration) start(ctx context.Context) (<-chan error, error) {
	config, err := d.configure()
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(d.dir, "stanch.log"))
	if err != nil {
		return nil, fmt.Errorf("making the demo's log: %w", err)
	}
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := serve(ctx, config, newLog(logFile), nil, func(public, private net.Addr) {
			d.public, d.private = "http://"+public.String(), "http://"+private.String()
			close(up)
		})
		ended <- errors.Join(err, logFile.Close())
	}()
	select {
	case <-up:
		return ended, nil
	case err := <-ended:
		return nil, err
	}
}

// show posts the deliveries and tells what becomes of them.
func (d *demonstration) show(ctx context.Context) error {
	d.say("stanch is running, with its store in %s", d.dir)
	d.say("a fake IBM Cloud IAM holds %d keys; GitHub, played here, finds them in public repositories\n", len(d.samples)-1)
	if err := d.forge(ctx); err != nil {
		return err
	}
	begun := time.Now()
	status, err := d.post(ctx, d.delivery(), nil)
	if err != nil {
		return err
	}
	d.say("a signed delivery with %d leaked tokens: answered %d in %s, everything in it on disk\n",
		len(d.samples), status, time.Since(begun).Round(100*time.Microsecond))
	if status != http.StatusNoContent && status != http.StatusOK {
		return fmt.Errorf("the delivery was answered %d", status)
	}
	d.say("what people are told:\n")
	views, err := d.wait(ctx)
	if err != nil {
		return err
	}
	if err := d.report(views); err != nil {
		return err
	}
	if err := d.showOrganisation(ctx); err != nil {
		return err
	}
	return d.showGitLab(ctx)
}

// forge posts a delivery that is signed with a key that GitHub does not publish.
func (d *demonstration) forge(ctx context.Context) error {
	stranger, err := sourcetest.NewSigner()
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	body := d.delivery()
	_, signature := stranger.Sign(body)
	header := d.signer.GitHubHeader(body)
	header.Set("Github-Public-Key-Signature", signature)
	status, err := d.post(ctx, body, header)
	if err != nil {
		return err
	}
	d.say("a forged delivery: answered %d, nothing of it parsed or stored", status)
	if status != http.StatusUnauthorized {
		return fmt.Errorf("the forged delivery was answered %d", status)
	}
	return nil
}

// delivery is what GitHub posts to a partner whose keys leaked.
func (d *demonstration) delivery() []byte {
	type record struct {
		Token  string `json:"token"`
		Type   string `json:"type"`
		URL    string `json:"url"`
		Source string `json:"source"`
	}
	var records []record
	for i, s := range d.samples {
		url := fmt.Sprintf("https://github.com/example/app-%d/blob/main/.env", i+1)
		records = append(records, record{s.value.Reveal(), "ibm_cloud_iam_key", url, "commit"})
	}
	body, _ := json.Marshal(records) // strings always marshal
	return body
}

// post delivers a body; a nil header is GitHub's own signature.
func (d *demonstration) post(ctx context.Context, body []byte, header http.Header) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.public+"/hooks/github", bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("making a delivery: %w", err)
	}
	if header == nil {
		header = d.signer.GitHubHeader(body)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("posting a delivery: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}

// wait polls until every sample has come to its end and was told.
func (d *demonstration) wait(ctx context.Context) ([]view, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for {
		var views []view
		if err := dial(d.store()).get(ctx, "/api/v1/incidents", nil, &views); err != nil {
			return nil, err
		}
		if len(views) == len(d.samples) && settled(views) && d.told(ctx) {
			return views, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the sample keys did not come to their ends in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func settled(views []view) bool {
	for _, v := range views {
		if v.State == leak.Open {
			return false
		}
	}
	return true
}

// told reports whether every incident's notice is out.
func (d *demonstration) told(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.private+"/metrics", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	metrics, err := io.ReadAll(response.Body)
	line := fmt.Sprintf("stanch_notices_total{notifier=\"console\",result=\"delivered\"} %d\n", len(d.samples))
	return err == nil && strings.Contains(string(metrics), line)
}

// report prints the timeline, and compares what became of each key, as the issuer has it, with its policy.
func (d *demonstration) report(views []view) error {
	d.say("\nwhat became of each key:\n")
	byKey := map[string]view{}
	for _, v := range views {
		byKey[v.Key.ID] = v
	}
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  KEY\tWHICH IS\tSTEPS AFTER RECEIPT\tSTATE\tPROVED DEAD AFTER\tAT THE ISSUER")
	var wrong []error
	for _, s := range d.samples {
		v := byKey[s.key.ID]
		now, alive := d.lookUp(s)
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", dash(s.key.Name), s.what, stepsAfter(v), v.State,
			containedAfter(v.Incident), now)
		if v.State != s.state || v.Action != s.action || alive != s.alive {
			wrong = append(wrong, fmt.Errorf("the key that is %s ended %s by %s, want %s by %s",
				s.what, v.State, v.Action, s.state, s.action))
		}
	}
	if err := errors.Join(append(wrong, table.Flush())...); err != nil {
		return err
	}
	d.say("\nevery sample key ended as its policy says")
	return nil
}

// lookUp asks the fake IAM, not stanch.
func (d *demonstration) lookUp(s *sample) (now string, alive bool) {
	key, there := d.iam.Key(s.key.ID)
	switch {
	case !there:
		return "no such key", false
	case key.Disabled:
		return "disabled", false
	}
	return "alive", true
}

// stepsAfter tells an incident's steps with the time from the receipt to each.
func stepsAfter(v view) string {
	var told []string
	for _, step := range v.Steps {
		told = append(told, fmt.Sprintf("%s %.1fms", step.Step, float64(step.At.Sub(v.ReceivedAt).Microseconds())/1000))
	}
	return strings.Join(told, " > ")
}

func (d *demonstration) invite() {
	d.say("\nstill running; in another terminal try")
	d.say("  stanch incidents list --store.dir %s", d.store())
	d.say("  stanch incidents show ID --store.dir %s", d.store())
	d.say("  stanch explain --incident ID --store.dir %s", d.store())
	d.say("  stanch incidents undo ID --reason 'it is a demo' --store.dir %s", d.store())
	d.say("  curl -s %s/metrics | grep ^stanch_", d.private)
	d.say("and end it with Ctrl-C")
}

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}
