package listen

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// openPaths are for machines, which may use any name for us.
var openPaths = []string{"/metrics", "/-/healthy", "/-/ready"}

// CheckHost refuses requests whose Host is none of our names, so that another site cannot point its own name at this listener and
// read it from a browser. An IP address is always accepted, and so is any name for metrics and health.
func CheckHost(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(openPaths, r.URL.Path) && !knownHost(r.Host, names) {
			http.Error(w, "this listener does not go by that name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func knownHost(hostport string, names []string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(names, func(name string) bool {
		return name != "" && strings.EqualFold(host, name)
	})
}
