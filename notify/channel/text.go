package channel

// Cut shortens a text to so many characters, the dots included that say so.
func Cut(text string, characters int) string {
	const dots = "..."
	runes := []rune(text)
	switch {
	case len(runes) <= characters:
		return text
	case characters < len(dots):
		return ""
	}
	return string(runes[:characters-len(dots)]) + dots
}
