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

// tellEvery is how often a long answer reports its progress.
const tellEvery = 200 * time.Millisecond

// maxLine bounds one line of such an answer, in bytes.
const maxLine = 4 << 20

// lineWriter writes an answer of one JSON object a line, while the work goes on.
type lineWriter struct {
	w     http.ResponseWriter
	lines *json.Encoder
	told  time.Time
}

// newLineWriter begins the answer. The body of the request must have been read.
func newLineWriter(w http.ResponseWriter) *lineWriter {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	return &lineWriter{w: w, lines: json.NewEncoder(w)}
}

// progress writes a line, unless one was written less than tellEvery ago.
func (t *lineWriter) progress(line any) {
	if time.Since(t.told) < tellEvery {
		return
	}
	t.told = time.Now()
	t.last(line)
}

// last writes a line at once. If the reader is gone, the context of the request ends, so nothing is returned.
func (t *lineWriter) last(line any) {
	_ = t.lines.Encode(line)
	_ = http.NewResponseController(t.w).Flush()
}

// ending is the part of a line that marks the last one.
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

// errUnfinished means that the answer stopped before its last line.
var errUnfinished = errors.New("stanch stopped before it was done: run the command again, and it continues where it stopped")

// follow posts a request and passes each line of the answer to progress. It returns the last line.
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
