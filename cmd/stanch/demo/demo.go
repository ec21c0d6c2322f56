// Package demo shows the whole pipeline without any account: it runs the real service among played vendors, lets sample keys leak,
// and checks what becomes of each.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/serve"
	"stanch/cmd/stanch/telemetry"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Run runs the demo and writes to out what happens. It returns an error unless every sample key ended as its policy says. With keep
// it then stays up until ctx ends.
func Run(ctx context.Context, out io.Writer, adapters config.Registry, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "stanch-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := newDemonstration(dir, out, adapters)
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

func newDemonstration(dir string, out io.Writer, adapters config.Registry) (*demonstration, error) {
	signer, err := feedfake.NewSigner()
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	iam, err := ibmfake.Start(ibmfake.Options{Switches: ibmfake.Switches{Unset: "absent"}})
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
	d := &demonstration{dir: dir, out: out, adapters: adapters, samples: samples(), iam: iam, hub: hub, lab: lab, signer: signer}
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
	keys, err := vendorfake.Serve(feedfake.NewKeyServer(d.signer))
	if err != nil {
		return fmt.Errorf("publishing the demo's key: %w", err)
	}
	d.keys = keys
	return nil
}

func (d *demonstration) close() {
	d.iam.Close()
	d.hub.Close()
	d.lab.close()
	d.keys.Close()
}

// configure writes the configuration of the demo, and reads it as serve does. All paths start where it is.
func (d *demonstration) configure() (*config.Config, error) {
	_, own := d.iam.AddKey(ibmfake.Key{Name: "stanch", Administrator: true})
	if err := writeSecret(filepath.Join(d.dir, "apikey"), own); err != nil {
		return nil, err
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
	text := fmt.Sprintf(`web: {public: {address: "127.0.0.1:0"}, private: {address: "127.0.0.1:0"}}
sources:
  - {name: github, type: github_partner, keys_url: %q}
%sissuers:
  - {name: ibm, type: ibmcloud, url: %q, auth: {apikey_file: apikey}, token_types: [ibm_cloud_iam_key, %s, %s]}
notifiers:
  - {name: console, type: console, gather_after: 1000}
`, d.keys.Origin(), acme+gitlab, d.iam.URL(), demoPattern, demoRuleType)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the demo's configuration: %w", err)
	}
	c, faults := config.Load(file, d.adapters)
	if len(faults) > 0 {
		return nil, fmt.Errorf("the demo's configuration: %s", faults[0])
	}
	return c, nil
}

// start runs the service until ctx ends; its last error comes from the channel.
func (d *demonstration) start(ctx context.Context) (<-chan error, error) {
	c, err := d.configure()
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(d.dir, "stanch.log"))
	if err != nil {
		return nil, fmt.Errorf("making the demo's log: %w", err)
	}
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := serve.Run(ctx, c, telemetry.NewLog(logFile), nil, func(public, private net.Addr) {
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

func (d *demonstration) invite() {
	d.say("\nstill running; the page is %s/", d.private)
	d.say("in another terminal try")
	d.say("  stanch incidents list --store.dir %s", d.store())
	d.say("  stanch incidents show ID --store.dir %s", d.store())
	d.say("  stanch explain --incident ID --store.dir %s", d.store())
	d.say("  stanch incidents undo ID --reason 'it is a demo' --store.dir %s", d.store())
	d.say("  curl -s %s/metrics | grep ^stanch_", d.private)
	d.say("and end it with Ctrl-C")
}
