package api

import (
	"context"
	"errors"
	"net/http"

	"stanch/dispositions/ledger"
)

// maxLogged bounds a request to verify, in bytes: a hundred thousand checkpoints.
const maxLogged = 32 << 20

// auditBody is what a request to verify says.
type auditBody struct {
	Logged []ledger.Checkpoint `json:"logged,omitempty"`
}

// auditLine is one line of the answer: how far the verification has come. The last one holds what it found.
type auditLine struct {
	Read  uint64        `json:"read"` // entries
	Of    uint64        `json:"of"`
	Audit *ledger.Audit `json:"audit,omitempty"`
	ending
}

var errVerifying = errors.New("another verification is running: wait until it has ended")

// verify answers POST /api/v1/audit/verify with one JSON object a line while it reads the log. It changes nothing, but it is work,
// so its sender must be known.
func (a *API) verify(w http.ResponseWriter, r *http.Request, by string) {
	var body auditBody
	if !a.decode(w, r, maxLogged, &body, `{"logged": [{"seq": 17, "count": 17, "hash": "0a1b..."}]}`) {
		return
	}
	if !a.auditing.TryLock() {
		a.refuse(w, http.StatusConflict, errVerifying)
		return
	}
	defer a.auditing.Unlock()
	tell := newLineWriter(w)
	audit, err := ledger.Verify(r.Context(), a.Store, body.Logged, func(read, of uint64) {
		tell.progress(auditLine{Read: read, Of: of})
	})
	a.Log.Info("log verified", "by", by, "entries", audit.Entries, "problems", len(audit.Problems)+audit.Omitted, "err", err)
	tell.last(auditLine{Read: audit.Entries, Of: audit.Entries, Audit: &audit, ending: endedBy(err)})
}

// Verify makes the serve verify its log, and compare it with checkpoints that were logged elsewhere.
func (c *Client) Verify(ctx context.Context, logged []ledger.Checkpoint, progress func(read, of uint64)) (ledger.Audit, error) {
	last, err := follow(ctx, c, "/api/v1/audit/verify", auditBody{logged}, func(line auditLine) { progress(line.Read, line.Of) })
	if err != nil {
		return ledger.Audit{}, err
	}
	if last.Audit == nil {
		return ledger.Audit{}, errUnfinished
	}
	return *last.Audit, nil
}
