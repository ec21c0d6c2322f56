package feedfake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// Reported is one leaked token as GitLab tells the partner whose it is.
type Reported struct {
	Type  string
	Token leak.Secret
	URL   string
}

// GitLabPartner is gitlab.com as the sender of the partner programme, and, as an [http.Handler], as the server of its key
// document. Safe for concurrent use.
type GitLabPartner struct {
	client *http.Client

	mu      sync.Mutex
	signers []*Signer // the last one signs
}

// NewGitLabPartner makes a sender with one key.
func NewGitLabPartner() (*GitLabPartner, error) {
	p := &GitLabPartner{client: vendorfake.NewClient(10 * time.Second)}
	return p, p.Rotate()
}

// Rotate makes a new key, which signs from now on. The old ones stay in the document.
func (p *GitLabPartner) Rotate() error {
	signer, err := NewSigner()
	if err != nil {
		return err
	}
	signer.id = signer.id[:40] // GitLab's ids are shorter than GitHub's
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signers = append(p.signers, signer)
	return nil
}

// ServeHTTP answers the key document.
func (p *GitLabPartner) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.document()) // a reader that went away needs no answer
}

// document is the key document, with every key that there has been.
func (p *GitLabPartner) document() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Document(p.signers...)
}

// body writes the body of a delivery.
func (p *GitLabPartner) body(reported ...Reported) []byte {
	batch := make([]map[string]any, len(reported))
	for i, r := range reported {
		batch[i] = map[string]any{"type": r.Type, "token": r.Token.Reveal(), "url": r.URL}
	}
	data, _ := json.Marshal(batch) // plain values always marshal
	return data
}

// header is the header of a delivery with this body, signed with the newest key.
func (p *GitLabPartner) header(body []byte) http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signers[len(p.signers)-1].GitLabHeader(body)
}

// Send delivers once and returns the status of the answer. GitLab sends again after 400 or above.
func (p *GitLabPartner) Send(ctx context.Context, url string, reported ...Reported) (int, error) {
	body := p.body(reported...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL is none")
	}
	request.Header = p.header(body)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, errors.New("nobody answered")
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // the status has been read, and it decides
	return response.StatusCode, nil
}
