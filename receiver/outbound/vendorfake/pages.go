package vendorfake

import (
	"fmt"
	"net/http"
	"strings"
)

// Links are the URLs of other pages of a list, by relation, such as next.
type Links map[string]string

// Add adds a link: the request's own URL with another page or cursor.
func (l Links) Add(r *http.Request, relation, name, value string) {
	query := r.URL.Query()
	for _, other := range []string{"page", "after", "before", "cursor"} {
		query.Del(other)
	}
	query.Set(name, value)
	l[relation] = "http://" + r.Host + r.URL.EscapedPath() + "?" + query.Encode()
}

// Header is the links as the Link field of an answer; empty: there are none.
func (l Links) Header() string {
	var links []string
	for _, relation := range []string{"prev", "next", "first", "last"} {
		if url, ok := l[relation]; ok {
			links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, url, relation))
		}
	}
	return strings.Join(links, ", ")
}
