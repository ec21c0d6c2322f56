package gitlabfake

import (
	"cmp"
	"slices"
)

func (e *execution) checkVariables() {
	for name, d := range e.doc.declared {
		if value, given := e.doc.variables[name]; d.required && (!given || value == nil) {
			e.fault("Variable $%s was provided invalid value", name)
		}
	}
}

// How deep selections may be nested, and how many fields there may be. GitLab has its own measure of what is too complex.
const (
	maxDepth  = 20
	maxFields = 500
)

// check looks whether a selection fits a type, before anything is done.
func (e *execution) check(of string, selected []selection, depth int) {
	e.fields += len(selected)
	if depth > maxDepth || e.fields > maxFields {
		if len(e.errors) == 0 {
			e.fault("Query is too complex")
		}
		return
	}
	for _, s := range selected {
		switch {
		case s.fragment:
			e.checkFragment(of, s, depth)
		case s.name != "__typename":
			e.checkField(of, s, depth)
		}
	}
}

func (e *execution) checkFragment(of string, s selection, depth int) {
	if s.spread != "" {
		defined, ok := e.doc.fragments[s.spread]
		if !ok {
			e.fault("Fragment %s was used, but not defined", s.spread)
			return
		}
		s = defined
	}
	if s.on != "" && s.on != of && !slices.Contains(unions[of], s.on) {
		e.fault("Fragment on %s can't be spread inside %s", s.on, of)
		return
	}
	e.check(cmp.Or(s.on, of), s.selected, depth+1)
}

func (e *execution) checkField(of string, s selection, depth int) {
	f, known := schema[of][s.name]
	if !known || !e.call.fake.since(newer[of][s.name]) {
		e.fault("Field '%s' doesn't exist on type '%s'", s.name, of)
		return
	}
	for name, value := range s.arguments {
		e.checkUse(name, value)
		if !slices.Contains(f.arguments, name) {
			e.fault("Field '%s' doesn't accept argument '%s'", s.name, name)
		}
	}
	for _, name := range f.needs {
		if _, given := s.arguments[name]; !given {
			e.fault("Field '%s' is missing required arguments: %s", s.name, name)
		}
	}
	if of == "Mutation" {
		e.checkInput(s.name, s.arguments["input"])
	}
	switch {
	case f.of == "" && s.selected != nil:
		e.fault("Selections can't be made on scalars (field '%s' has selections)", s.name)
	case f.of != "" && s.selected == nil:
		e.fault("Field must have selections (field '%s' returns %s but has no selections)", s.name, f.of)
	case f.of != "":
		e.check(f.of, s.selected, depth+1)
	}
}

// checkUse looks whether variables are declared, and with the type of the argument that they stand for.
func (e *execution) checkUse(argument string, value any) {
	switch v := value.(type) {
	case variable:
		d, declared := e.doc.declared[string(v)]
		if !declared {
			e.fault("Variable $%s is used but not declared", v)
		} else if want := types[argument]; want != "" && d.of != want {
			e.fault("Type mismatch on variable $%s and argument %s (%s / %s)", v, argument, d.of, want)
		}
	case map[string]any:
		for name, inner := range v {
			e.checkUse(name, inner)
		}
	case []any:
		for _, inner := range v {
			e.checkUse(argument, inner)
		}
	}
}

// checkInput looks whether the input of a mutation has fields that there are, be it written out or a variable.
func (e *execution) checkInput(mutation string, value any) {
	of := capital(mutation) + "Input"
	switch v := value.(type) {
	case variable:
		given := e.doc.declared[string(v)].of
		if given != of {
			e.fault("Type mismatch on variable $%s and argument input (%s / %s)", v, given, of)
		}
		for _, name := range e.unknown(mutation, inputs(e.doc.variables).object(string(v))) {
			e.fault("Variable $%s of type %s! was provided invalid value for %s (Field is not defined on %s)", v, of, name, of)
		}
	case map[string]any:
		for _, name := range e.unknown(mutation, v) {
			e.fault("InputObject '%s' doesn't accept argument '%s'", of, name)
		}
	}
}

// unknown are the fields of an input that a mutation does not have, sorted.
func (e *execution) unknown(mutation string, input map[string]any) (names []string) {
	known := []string{"id", "clientMutationId"}
	if mutation == "vulnerabilityDismiss" {
		known = append(known, "comment", "dismissalReason")
	} else if !e.call.fake.switches.NoComment {
		known = append(known, "comment")
	}
	for name := range input {
		if !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
