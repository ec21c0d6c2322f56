package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// tellEvery is how often the answer to something that takes long says how far it has come.
const tellEvery = 200 * time.Millisecond

// maxLine bounds one line of such an answer, in bytes.
const maxLine = 4 << 20

// teller answers with one JSON object a line while it works.
type teller struct {
	w     http.ResponseWriter
	lines *json.Encoder
	told  time.Time
}

// newTeller begins the answer to a request whose body is read.
func newTeller(w http.ResponseWriter) *teller {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	return &teller{w: w, lines: json.NewEncoder(w)}
}

// progress tells a line, unless the last one was just told.
func (t *teller) progress(line any) {
	if time.Since(t.told) < tellEvery {
		return
	}
	t.told = time.Now()
	t.last(line)
}

// last tells a line. When the reader is gone, so is the context of the request.
func (t *teller) last(line any) {
	_ = t.lines.Encode(line)
	_ = http.NewResponseController(t.w).Flush()
}

// ending is how the last line of such an answer ends.
type ending struct {
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

// endedBy is the ending after an error, or without one.
func endedBy(err error) ending {
	if err != nil {
		return ending{Error: err.Error()}
	}
	return ending{Done: true}
}

func (e ending) ended() ending { return e }

// errUnfinished is the error of who waits for a stanch that ended.
var errUnfinished = errors.New("stanch ended before it was done: begin again, it goes on where it was")

// follow posts an order and hands over each line of the answer. It returns the last one, which says that it is done.
func follow[L interface{ ended() ending }](
	ctx context.Context, c *Client, path string, body any, progress func(L),
) (last L, err error) {
	patient := *c
	patient.http = &http.Client{Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect} // it may take an hour
	response, err := patient.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return last, err
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line L
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return last, fmt.Errorf("reading stanch's answer: %w", err)
		}
		switch end := line.ended(); {
		case end.Error != "":
			return line, errors.New(end.Error)
		case end.Done:
			return line, nil
		}
		progress(line)
	}
	if ctx.Err() != nil {
		return last, ctx.Err()
	}
	return last, errUnfinished
}
