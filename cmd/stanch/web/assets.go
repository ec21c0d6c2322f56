package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
)

//go:embed templates assets
var files embed.FS

// asset is a file that pages load. Its path has a hash of its content in it, so that browsers may keep it for ever.
type asset struct {
	path    string
	kind    string
	content []byte
}

// assets are those files, by name.
var assets = map[string]asset{
	"style.css": open("style.css", "text/css; charset=utf-8"),
	"icon.svg":  open("icon.svg", "image/svg+xml"),
}

func open(name, kind string) asset {
	content, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(content)
	extension := path.Ext(name)
	return asset{"/assets/" + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:8]) + extension, kind, content}
}

// ServeHTTP implements [http.Handler].
func (a asset) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	guardAgainst(w.Header())
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.content) // the reader is gone
}
