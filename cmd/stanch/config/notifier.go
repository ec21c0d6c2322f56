package config

import (
	"errors"
	"fmt"
	"os"

	"stanch/cmd/stanch/config/decode"
	"stanch/notify/compose"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
)

// Notifier is a channel on which people are told.
type Notifier struct {
	// Name identifies it in metrics and logs, and in the record of what was delivered.
	Name string `yaml:"name"`
	// Type is the kind of channel.
	Type string `yaml:"type"`
	// When is a condition, a CEL expression over incident (state, severity, action, rule, issuer, sighting_count), key (id,
	// name, kind, owner, owner_name, account, locked, disabled, setting) and source (name, type); this channel
	// is only told about incidents that meet it. By default it is told about everything, and so it is when the condition
	// cannot be evaluated. A channel that keeps state and was told how an incident began is also told how it ends.
	When string `yaml:"when"`
	// GatherAfter is how many notices a minute this channel gets one by one: 10 by default. Further ones are grouped into one
	// notice that says how many they are; critical ones wait half a minute at most.
	GatherAfter int `yaml:"gather_after"`
	// Templates are the operator's own words for the notices of this channel.
	Templates Templates `yaml:"templates"`
	// Adapter holds the fields that a notifier of that type has beside these.
	Adapter NotifierAdapter `yaml:"-"`
}

// Templates are files in the language of Go's text/template, with the notice as data: ID, At, Severity, Title, Incident,
// Seen, Facts (each with Name and Text), Link, Phase, Count and Members. "stanch notify render" shows the result.
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
		return t, fmt.Errorf("is not a working template: %w", err)
	}
	return t, nil
}

// checkConditions reports every fault of the conditions of notifiers, where it is in the file.
func (c *Config) checkConditions(d *decode.Decoder) {
	for i, n := range c.Notifiers {
		if n.When == "" {
			continue
		}
		_, faults := deliver.Condition(n.When, nil)
		for _, f := range faults {
			d.FaultWithin(fmt.Sprintf("notifiers[%d].when", i), f.Line, f.Column, f.Text)
		}
	}
}

// Words reads the templates. Without files they leave every notice as it is.
func (t Templates) Words() (w compose.Words, err error) {
	if w.Title, err = template(t.TitleFile); err != nil {
		return w, err
	}
	w.Text, err = template(t.TextFile)
	return w, err
}

// Condition reports whether the notifier is told about an incident; a nil function means always. It takes the types of the sources,
// by name.
func (n Notifier) Condition(types map[string]string) func(leak.Incident) (bool, error) {
	if n.When == "" {
		return nil
	}
	told, _ := deliver.Condition(n.When, types) // Load has reported its faults
	return told
}
