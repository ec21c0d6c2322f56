package config

import (
	"errors"
	"fmt"
	"os"

	"stanch/cmd/stanch/config/decode"
	"stanch/notify/compose"
	"stanch/notify/when"
	"stanch/receiver/leak"
)

// Notifier is a channel on which people are told.
type Notifier struct {
	// Name is how metrics and logs call it. What was delivered is remembered under it.
	Name string `yaml:"name"`
	// Type is the kind of channel.
	Type string `yaml:"type"`
	// When is a condition, a CEL expression over incident (state, severity, action, rule, issuer, sighting_count), key (id,
	// name, kind, owner, owner_name, account, locked, disabled, setting) and source (name, type); of what does not meet it
	// this channel is not told. By default it is told of everything, and so it is where the condition cannot be evaluated. A
	// channel that keeps state and was told how an incident began is told how it ends, whatever the condition says.
	When string `yaml:"when"`
	// GatherAfter is how many notices a minute this channel is told one by one, 10 by default. What comes beyond is told
	// together, in one notice that says how much there is, critical incidents within half a minute.
	GatherAfter int `yaml:"gather_after"`
	// Templates are the operator's own words for the notices of this channel.
	Templates Templates `yaml:"templates"`
	// Adapter holds the fields that a notifier of that type has beside these.
	Adapter NotifierAdapter `yaml:"-"`
}

// Templates are files in the language of Go's text/template, with the notice as data: ID, At, Severity, Title, Incident,
// Seen, Facts (each with Name and Text), Link, Phase, Count and Members. "stanch notify render" shows what they make.
type Templates struct {
	// TitleFile holds the template of the title, which is one line.
	TitleFile string `yaml:"title_file"`
	// TextFile holds the template of the facts: one a line, its name before the first ": ".
	TextFile string `yaml:"text_file"`
}

func (n Notifier) check(fault faultFunc) {
	if n.GatherAfter < 0 {
		fault("gather_after", "must be positive")
	}
	if _, err := template(n.Templates.TitleFile); err != nil {
		fault("templates.title_file", err.Error())
	}
	if _, err := template(n.Templates.TextFile); err != nil {
		fault("templates.text_file", err.Error())
	}
	if n.Adapter != nil {
		n.Adapter.Check(fault)
	}
}

// template reads a template; without a file, none.
func template(file string) (compose.Template, error) {
	if file == "" {
		return compose.Template{}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return compose.Template{}, errors.New(decode.Reason(err))
	}
	t, err := compose.ParseTemplate(string(text))
	if err != nil {
		return t, fmt.Errorf("is no template that works: %w", err)
	}
	return t, nil
}

// checkConditions reports every fault of the conditions of notifiers, where it is in the file.
func (c *Config) checkConditions(d *decode.Decoder) {
	for i, n := range c.Notifiers {
		if n.When == "" {
			continue
		}
		_, faults := when.Compile(n.When)
		for _, f := range faults {
			d.FaultWithin(fmt.Sprintf("notifiers[%d].when", i), f.Line, f.Column, f.Text)
		}
	}
}

// Words reads the templates. Without any file they change no notice.
func (t Templates) Words() (w compose.Words, err error) {
	if w.Title, err = template(t.TitleFile); err != nil {
		return w, err
	}
	w.Text, err = template(t.TextFile)
	return w, err
}

// Condition is when a notifier is told of an incident; nil: always. The types are those of the sources, by name.
func (n Notifier) Condition(types map[string]string) func(leak.Incident) (bool, error) {
	if n.When == "" {
		return nil
	}
	c, faults := when.Compile(n.When)
	if len(faults) > 0 { // which Load has reported
		return func(leak.Incident) (bool, error) { return false, errors.New("the condition has a fault") }
	}
	return func(i leak.Incident) (bool, error) { return c.Met(i, types[i.Source]) }
}
