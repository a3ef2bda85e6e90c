package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/gateway/internal/format"
	"skein/gateway/internal/record"
	"skein/internal/batch"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// query serves POST /v1/query: {"sql": …} or, as application/sql or
// text/plain, the statement itself.
func (h *handler) query(w http.ResponseWriter, r *http.Request) {
	f, err := format.Choose(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	sql, err := readSQL(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if f != format.Default {
		h.queryStream(w, r, sql, f)
		return
	}
	resp, err := h.service.Query(r.Context(), &olapv1.QueryRequest{Sql: sql})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.answer(w, appendMessage(nil, resp.ProtoReflect()))
}

func readSQL(r *http.Request) (string, error) {
	data, err := readAll(r, r.Body, 2*sqlBytesMax) // JSON escapes take room
	if err != nil {
		return "", err
	}
	switch media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media {
	case "application/sql", "text/plain":
		return string(data), nil
	}
	if err := record.CheckJSON(data); err != nil {
		return "", err
	}
	var req olapv1.QueryRequest
	if err := (wire{}).Unmarshal(data, &req); err != nil {
		return "", fault.Wrap(fault.InvalidArgument, err)
	}
	return req.GetSql(), nil
}

// queryStream sends rows as they come. The first batch is awaited before the
// status, so that most errors are told by a status of their own.
func (h *handler) queryStream(w http.ResponseWriter, r *http.Request, sql string, f format.Format) {
	ctx, cancel := context.WithTimeout(r.Context(), h.service.opts.QueryTimeout)
	defer cancel()
	rows, err := h.service.rows(ctx, sql)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer rows.Close()
	b, err := rows.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", f.MediaType())
	out := format.NewWriter(f, w, rows.Schema())
	if err := send(ctx, w, out, rows, b, err); err != nil {
		h.breakOff(r, w, out, err)
	}
}

// send writes the batch b, unless err ended the rows, and all that follow.
func send(ctx context.Context, w http.ResponseWriter, out format.Writer, rows batch.Reader, b arrow.RecordBatch, err error) error {
	control := http.NewResponseController(w)
	for ; err == nil; b, err = rows.Next(ctx) {
		if err := out.Write(b); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return out.Close()
}

// breakOff ends an answer that has begun so that it cannot pass for a whole
// one: it tells the error where the format can, and breaks the connection.
func (h *handler) breakOff(r *http.Request, w http.ResponseWriter, out format.Writer, err error) {
	code := fault.CodeOf(err)
	if r.Context().Err() == nil {
		h.opts.Log.WarnContext(r.Context(), "query broke off", "code", code.String(), "error", err)
	}
	if out.Fail(bytes.TrimSpace(errorJSON(code.String(), err))) {
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler)
}
