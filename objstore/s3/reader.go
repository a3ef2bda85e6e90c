package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"skein/internal/fault"
)

// reader reads one range of an object. When the connection breaks it asks for
// the rest, of the same version of the object only.
type reader struct {
	ctx    context.Context
	s      *Store
	key    string
	offset int64 // of the next byte
	left   int64 // bytes wanted; -1 to the end
	etag   string
	sums   bool             // the server is asked for the checksum
	info   minio.ObjectInfo // of the first answer
	resets int              // times that the connection broke
	body   io.ReadCloser
	err    error // how it ended
}

// open asks for the bytes not read yet.
func (r *reader) open() error {
	var options minio.GetObjectOptions
	if header := rangeHeader(r.offset, r.left); header != "" {
		options.Set("Range", header)
	}
	options.Checksum = r.sums && r.etag == ""
	if r.etag != "" {
		if err := options.SetMatchETag(r.etag); err != nil {
			return r.s.objectError(r.ctx, r.key, err)
		}
	}
	body, info, _, err := r.s.client.GetObject(r.ctx, r.s.options.Bucket, r.key, options)
	switch response := minio.ToErrorResponse(err); {
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		r.body, r.err = http.NoBody, io.EOF // begins at or after the end
		return nil
	case response.StatusCode == http.StatusPreconditionFailed:
		return fault.Newf(fault.Aborted, "object %q was replaced while it was read; read it again: %w", r.key, err)
	case err != nil:
		return r.s.objectError(r.ctx, r.key, err)
	}
	if r.etag == "" {
		r.info = info
	}
	r.body, r.etag = body, info.ETag
	return nil
}

// rangeHeader is the HTTP Range of length bytes from offset; empty for all.
func rangeHeader(offset, length int64) string {
	switch {
	case length == -1 && offset == 0:
		return ""
	case length == -1:
		return fmt.Sprintf("bytes=%d-", offset)
	}
	last := offset + length - 1
	if last < offset { // beyond what an int64 can say, so beyond every object
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return fmt.Sprintf("bytes=%d-%d", offset, last)
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.err == nil {
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if r.left > 0 {
			r.left -= int64(n)
		}
		r.s.metrics.received(n)
		switch {
		case errors.Is(err, io.EOF):
			r.err = io.EOF
		case err != nil:
			r.err = r.reopen(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// reopen takes the range up again after err broke it; nil if that went well.
func (r *reader) reopen(err error) error {
	r.resets++
	if r.left == 0 {
		return io.EOF // all bytes are here already
	}
	if r.ctx.Err() != nil || r.resets >= r.s.options.AttemptsMax {
		return r.s.objectError(r.ctx, r.key, err)
	}
	r.body.Close()
	r.body = http.NoBody
	return r.open()
}

func (r *reader) Close() error {
	r.err = errClosed
	return r.body.Close()
}

var errClosed = fault.New(fault.FailedPrecondition, "object is read after its reader was closed")
