package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"skein/gateway/internal/record"
	olapv1 "skein/proto/olap/v1"
)

// data serves POST /v1/data: one record, an array of records, or, with
// Content-Type application/x-ndjson, a record on each line. It reads payloads
// itself, because a protobuf Struct would round integers beyond 2^53.
func (h *handler) data(w http.ResponseWriter, r *http.Request) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "application/x-ndjson" || media == "application/ndjson" {
		h.dataStream(w, r, record.Lines(r.Body))
		return
	}
	buffered := bufio.NewReader(r.Body)
	if firstIs(buffered, '[') {
		h.dataStream(w, r, record.Array(buffered))
		return
	}
	h.dataOne(w, r, buffered)
}

// firstIs tells whether the first byte that is no space is c, and leaves it.
func firstIs(r *bufio.Reader, c byte) bool {
	for {
		next, err := r.Peek(1)
		switch {
		case err != nil:
			return false
		case bytes.IndexByte([]byte(" \t\r\n"), next[0]) < 0:
			return next[0] == c
		}
		_, _ = r.Discard(1)
	}
}

func (h *handler) dataOne(w http.ResponseWriter, r *http.Request, from io.Reader) {
	data, err := readAll(r, from, record.BytesMax)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	row, err := record.Parse(data, h.service.opts.Now().UTC())
	if err == nil {
		err = h.service.writeOne(r.Context(), row)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.answer(w, appendMessage(nil, (&olapv1.WriteResponse{Success: true, Message: writtenMessage(1)}).ProtoReflect()))
}

func (h *handler) dataStream(w http.ResponseWriter, r *http.Request, records *record.Stream) {
	n, err := h.store(r, records)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.answer(w, fmt.Appendf(nil, `{"success":true,"message":"%s","records_written":%d}`, writtenMessage(n), n))
}

// store writes a stream of records, a batch at a time, and returns how many.
func (h *handler) store(r *http.Request, records *record.Stream) (int64, error) {
	place, _ := records.Place()
	b := h.service.newBatcher(place)
	for {
		data, err := records.Next()
		ctx := storeContext(r)
		if errors.Is(err, io.EOF) {
			err = b.flush(ctx)
			return b.written, err
		}
		var row record.Row
		if err == nil {
			row, err = record.Parse(data, h.service.opts.Now().UTC())
		}
		_, number := records.Place()
		if err != nil {
			return 0, b.refuse(ctx, err, number)
		}
		if err := b.add(ctx, row, number); err != nil {
			return 0, err
		}
	}
}

// storeContext is the request's context, but without its end when that came
// from a body that broke off: the records before the break are still stored.
func storeContext(r *http.Request) context.Context {
	if b, ok := r.Body.(*body); ok && b.broken {
		return context.WithoutCancel(r.Context())
	}
	return r.Context()
}

// answer sends a JSON body.
func (h *handler) answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}
