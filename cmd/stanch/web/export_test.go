package web

// What the external tests see of the package.
var (
	Shortened = shortened
	Link      = link
	Span      = span
)
