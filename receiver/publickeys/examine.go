package publickeys

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stanch/receiver/leak"
)

// Examine requests the whole document once, and reports what it holds, how many requests are left, and whether our clock
// agrees. It leaves the keys as they are; the request counts against the server's limit.
func (p *Cache) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	asked := time.Now()
	response, err := p.fetcher.ask(ctx, "")
	if err != nil {
		found.Broken("key endpoint", "it does not answer: %v", err)
		return found
	}
	defer func() { _ = response.Body.Close() }()
	answered := time.Now()
	p.examineDocument(ctx, &found, response)
	examineLimit(&found, response.Header)
	if response.Header.Get("Age") == "" { // otherwise the answer, and its date, come from a cache
		found.Clock(response.Header.Get("Date"), asked, answered)
	}
	return found
}

// examineDocument reports what an answer is worth.
func (p *Cache) examineDocument(ctx context.Context, found *leak.Findings, response *http.Response) {
	const endpoint, keys, etag = "key endpoint", "public keys", "etag"
	if problem := p.refused(response); problem != "" {
		found.Broken(endpoint, "%s; deliveries signed with a key that we lack cannot be verified", problem)
		return
	}
	usable, current, err := readKeys(ctx, response)
	if err != nil {
		found.Broken(endpoint, "it answers 200, but %v", err)
		return
	}
	found.Good(endpoint, "it answers 200, %s", p.asWhom())
	if current == 0 {
		found.Doubt(keys, "%d usable, and none of them is current", usable)
	} else {
		found.Good(keys, "%d usable, %d of them current", usable, current)
	}
	if response.Header.Get("ETag") == "" {
		found.Good(etag, "there is none: every refresh fetches the whole document")
	} else {
		found.Good(etag, "there is one: an unchanged document is not fetched again")
	}
}

func (p *Cache) asWhom() string {
	if p.fetcher.token.Empty() {
		return "asked without a token"
	}
	return "and takes our token"
}

// refused says why an answer holds no document; empty: it does.
func (p *Cache) refused(response *http.Response) string {
	status, header := response.StatusCode, response.Header
	_, left, told := limit(header)
	switch {
	case status == http.StatusOK:
		return ""
	case (status == http.StatusForbidden || status == http.StatusTooManyRequests) && told && left == 0:
		return fmt.Sprintf("it answers %d: too many requests were made", status)
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && !p.fetcher.token.Empty():
		return fmt.Sprintf("it refuses our token: it answers %d", status)
	}
	return fmt.Sprintf("it answers %d", status)
}

// readKeys counts the usable keys of a document, and those of its entries that are current.
func readKeys(ctx context.Context, response *http.Response) (keys, current int, err error) {
	data, err := readDocument(ctx, response)
	if err != nil {
		return 0, 0, err
	}
	usable, err := parseKeys(data)
	if err != nil {
		return 0, 0, err
	}
	var list struct {
		Keys []json.RawMessage `json:"public_keys"`
	}
	_ = json.Unmarshal(data, &list) // parseKeys has read it
	for _, data := range list.Keys {
		var entry struct {
			ID      string `json:"key_identifier"`
			Current bool   `json:"is_current"`
		}
		if json.Unmarshal(data, &entry) == nil && entry.Current && usable[entry.ID] != nil {
			current++
		}
	}
	return len(usable), current, nil
}

// few: when less than one in so many requests is left, somebody should look.
const few = 10

// examineLimit reports how many requests are left, if the server says so in GitHub's header fields.
func examineLimit(found *leak.Findings, header http.Header) {
	all, left, told := limit(header)
	if !told {
		return
	}
	until := ""
	if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		until = " until " + time.Unix(reset, 0).UTC().Format("15:04:05 UTC")
	}
	if left*few < all {
		found.Doubt("rate limit", "%d of %d requests are left%s; with a token, more are allowed", left, all, until)
		return
	}
	found.Good("rate limit", "%d of %d requests are left%s", left, all, until)
}

// limit reads how many requests are allowed and how many are left; told is false when the server does not say.
func limit(header http.Header) (all, left int, told bool) {
	all, err := strconv.Atoi(header.Get("X-RateLimit-Limit"))
	if err != nil {
		return 0, 0, false
	}
	left, err = strconv.Atoi(header.Get("X-RateLimit-Remaining"))
	return all, left, err == nil
}
