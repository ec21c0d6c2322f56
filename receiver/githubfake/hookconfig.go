package githubfake

import (
	"net/http"
	"net/url"

	"stanch/receiver/leak"
)

// config never shows the secret, only that there is one.
func (h *hook) config() object {
	config := object{"url": h.URL, "content_type": "json", "insecure_ssl": "0"}
	if h.Form {
		config["content_type"] = "form"
	}
	if !h.Secret.Empty() {
		config["secret"] = "********"
	}
	return config
}

// hookConfig is the part of an update that says where and how to deliver; a field that is absent is not changed.
type hookConfig struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
}

// updateHook is PATCH of a hook.
func (c *call) updateHook() *answer {
	var u struct {
		Config hookConfig `json:"config"`
		Events []string   `json:"events"`
		Active *bool      `json:"active"`
	}
	no := c.theHook().Or(func() *answer { return c.read(&u) })
	no = no.Or(func() *answer { return c.hook.configure(u.Config) })
	if no != nil {
		return no
	}
	if u.Events != nil {
		c.hook.Events = u.Events
	}
	if u.Active != nil {
		c.hook.Inactive = !*u.Active
	}
	return ok(c.hook.show())
}

// updateHookConfig is PATCH of an App's hook.
func (c *call) updateHookConfig() *answer {
	var u hookConfig
	no := c.theHook().Or(func() *answer { return c.read(&u) })
	no = no.Or(func() *answer { return c.hook.configure(u) })
	return no.Or(func() *answer { return ok(c.hook.config()) })
}

func (h *hook) configure(u hookConfig) *answer {
	if kind := deref(u.ContentType); kind != "" && kind != "json" && kind != "form" {
		return invalid("content_type")
	}
	if u.URL != nil {
		if parsed, err := url.Parse(*u.URL); err != nil || parsed.Host == "" {
			return invalid("url")
		}
		h.URL = *u.URL
	}
	if u.ContentType != nil {
		h.Form = *u.ContentType == "form"
	}
	if u.Secret != nil {
		h.Secret = leak.NewSecret(*u.Secret)
	}
	return nil
}

// pingHook is POST .../pings.
func (c *call) pingHook() *answer {
	no := c.theHook()
	if no != nil {
		return no
	}
	c.fake.ping(c.hook, c.token.sender(c.fake))
	return &answer{Status: http.StatusNoContent}
}
