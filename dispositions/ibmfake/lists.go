package ibmfake

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// page is the envelope of every list.
type page struct {
	Context  map[string]string `json:"context"`
	Offset   int               `json:"offset"`
	Limit    int               `json:"limit"`
	First    string            `json:"first"`
	Previous string            `json:"previous,omitempty"`
	Next     string            `json:"next,omitempty"`
	// One of these is set; an empty list is written as one.
	Apikeys    *[]wireKey     `json:"apikeys,omitempty"`
	Serviceids *[]wireService `json:"serviceids,omitempty"`
}

// paging reads which part of a list a call wants; false: its parameters are not valid. The page token is the offset.
func paging(query url.Values) (offset, limit int, ok bool) {
	limit = 20
	var err error
	if size := query.Get("pagesize"); size != "" {
		if limit, err = strconv.Atoi(size); err != nil || limit < 1 || limit > 100 {
			return 0, 0, false
		}
	}
	if token := query.Get("pagetoken"); token != "" {
		if offset, err = strconv.Atoi(strings.TrimPrefix(token, "from-")); err != nil || offset < 0 {
			return 0, 0, false
		}
	}
	return offset, limit, true
}

// cut returns the part of a list that a call wants, and the envelope for it.
func cut[T any](c *call, all []T) ([]T, page, bool) {
	offset, limit, ok := paging(c.request.URL.Query())
	if !ok {
		return nil, page{}, false
	}
	end := min(offset+limit, len(all))
	p := page{Offset: offset, Limit: limit, First: c.pageURL(0)}
	if offset > 0 {
		p.Previous = c.pageURL(max(0, offset-limit))
	}
	if end < len(all) {
		p.Next = c.pageURL(end)
	}
	return all[min(offset, len(all)):end], p, true
}

// pageURL is the full URL of another page of the list that a call asks for.
func (c *call) pageURL(offset int) string {
	query := c.request.URL.Query()
	query.Set("pagetoken", "from-"+strconv.Itoa(offset))
	u := url.URL{Scheme: "http", Host: c.request.Host, Path: c.request.URL.Path, RawQuery: query.Encode()}
	return u.String()
}

// listKeys is GET /v1/apikeys. Without scope=account it lists the caller's own identity only.
func (f *Fake) listKeys(c *call) answer {
	query := c.request.URL.Query()
	whole := query.Get("scope") == "account"
	if whole && !c.grant.administrator {
		return f.forbidden()
	}
	var found []*key
	for _, k := range f.byID {
		if (whole || k.IAMID == cmp.Or(query.Get("iam_id"), c.grant.iamID)) && c.may(k.IAMID) && k.matches(query) {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, order(query, func(k *key) (string, fields) {
		return k.ID, fields{name: k.Name, description: k.Description, by: k.createdBy, at: k.createdAt}
	}))
	part, p, ok := cut(c, found)
	if !ok {
		return f.badRequest("Parameter 'pagesize' or 'pagetoken' is not valid.")
	}
	shown := make([]wireKey, 0, len(part))
	for _, k := range part {
		shown = append(shown, f.show(c, k))
	}
	p.Apikeys = &shown
	return answer{Status: http.StatusOK, Body: p}
}

// matches reports whether a key passes the filters of a list.
func (k *key) matches(query url.Values) bool {
	account, iamID, kind := query.Get("account_id"), query.Get("iam_id"), query.Get("type")
	isService := strings.Contains(k.IAMID, "ServiceId-")
	return (account == "" || account == k.Account) && (iamID == "" || iamID == k.IAMID) &&
		(kind == "" || (kind == "serviceid") == isService)
}

// fields are what lists are sorted by.
type fields struct {
	name, description, by string
	at                    time.Time
}

// order compares two entries of a list as the query asks; entries that are alike are in the order of their ids.
func order[T any](query url.Values, of func(T) (id string, f fields)) func(a, b T) int {
	return func(a, b T) int {
		aID, af := of(a)
		bID, bf := of(b)
		n := 0
		switch query.Get("sort") {
		case "name":
			n = strings.Compare(af.name, bf.name)
		case "description":
			n = strings.Compare(af.description, bf.description)
		case "created_by":
			n = strings.Compare(af.by, bf.by)
		case "created_at":
			n = af.at.Compare(bf.at)
		}
		n = cmp.Or(n, strings.Compare(aID, bID))
		if query.Get("order") == "desc" {
			return -n
		}
		return n
	}
}

// service is one service ID.
type service struct {
	id, name, account string
	createdAt         time.Time
	history           []historyRecord
}

type wireService struct {
	ID                 string   `json:"id"`
	IAMID              string   `json:"iam_id"`
	EntityTag          string   `json:"entity_tag"`
	CRN                string   `json:"crn"`
	Locked             bool     `json:"locked"`
	CreatedAt          string   `json:"created_at"`
	ModifiedAt         string   `json:"modified_at"`
	AccountID          string   `json:"account_id"`
	Name               string   `json:"name"`
	Description        string   `json:"description"`
	UniqueInstanceCRNs []string `json:"unique_instance_crns"`
	// History is shown where the query asks for it.
	History []historyRecord `json:"history,omitempty"`
}

// AddServiceID adds a service ID and returns its id and the iam_id that its keys have. An empty account is Account.
func (f *Fake) AddServiceID(name, account string) (id, iamID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.putService(name, account, "IBMid-110000FAKE")
	return s.id, "iam-" + s.id
}

// MakeServiceID adds a service ID that this IAM id made, and returns its id.
func (f *Fake) MakeServiceID(name, account, by string) (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.putService(name, account, by).id
}

func (f *Fake) putService(name, account, by string) *service {
	s := &service{id: "ServiceId-" + vendorfake.UUID(), name: name, account: cmp.Or(account, Account), createdAt: f.now()}
	s.history = []historyRecord{f.happened(by, s.account, "CREATE")}
	f.services[s.id] = s
	return s
}

func (s *service) show() wireService {
	at := s.createdAt.UTC().Format(minute)
	return wireService{
		ID: s.id, IAMID: "iam-" + s.id, EntityTag: s.entityTag(), CreatedAt: at, ModifiedAt: at, AccountID: s.account,
		CRN:  "crn:v1:bluemix:public:iam-identity::a/" + s.account + "::serviceid:" + s.id,
		Name: s.name, UniqueInstanceCRNs: []string{},
	}
}

func (s *service) entityTag() string {
	return "1-" + strings.ReplaceAll(strings.TrimPrefix(s.id, "ServiceId-"), "-", "")
}

// listServices is GET /v1/serviceids, with and without a slash at the end.
func (f *Fake) listServices(c *call) answer {
	query := c.request.URL.Query()
	account, name := query.Get("account_id"), query.Get("name")
	if account == "" && query.Get("pagetoken") == "" {
		return f.badRequest("Parameter 'account_id' either missing or empty.")
	}
	if !c.grant.administrator {
		return f.forbidden()
	}
	var found []*service
	for _, s := range f.services {
		if (account == "" || account == s.account) && (name == "" || name == s.name) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, order(query, func(s *service) (string, fields) {
		return s.id, fields{name: s.name, at: s.createdAt}
	}))
	part, p, ok := cut(c, found)
	if !ok {
		return f.badRequest("Parameter 'pagesize' or 'pagetoken' is not valid.")
	}
	shown := make([]wireService, 0, len(part))
	for _, s := range part {
		w := s.show()
		if flag(query.Get("include_history")) {
			w.History = s.history
		}
		shown = append(shown, w)
	}
	p.Serviceids = &shown
	return answer{Status: http.StatusOK, Body: p}
}

// readService is GET /v1/serviceids/{id}.
func (f *Fake) readService(c *call) answer {
	s, ok := f.services[c.op.id]
	switch {
	case !ok:
		return f.notFound("ServiceId", c.op.id)
	case !c.may("iam-" + s.id):
		return f.forbidden()
	}
	return answer{Status: http.StatusOK, Body: s.show(), Header: map[string]string{"Etag": s.entityTag()}}
}
