package dispositions

import "stanch/receiver/leak"

// Adviser can tell people what they should know about a key that leaked.
type Adviser interface {
	// Advise goes by what is known of the key, and asks nobody. It says nothing about a key that it does not know.
	Advise(key leak.Key) leak.Advice
}

// advise puts what the key's issuer tells people into an incident. What was said before stays when the issuer is no Adviser.
func advise(issuer Issuer, i *leak.Incident) {
	if a, ok := issuer.(Adviser); ok {
		i.Advice = a.Advise(i.Key)
	}
}
