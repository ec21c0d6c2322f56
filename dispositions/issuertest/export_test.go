package issuertest

// Checks names the parts of the suite.
func Checks() []string {
	names := []string{"Abilities"}
	for _, check := range checks {
		names = append(names, check.name)
	}
	return names
}
