package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"skein/internal/fault"
)

// ErrSize says that a reader given to Put held fewer or more bytes than were
// promised.
var ErrSize = fault.New(fault.InvalidArgument, "object size is not what was promised")

// Exactly reads size bytes from r for the Put of key. It gives io.EOF only
// after exactly that many; a shorter or longer r ends in ErrSize, before the
// last byte has been given. It stops with ctx's error when ctx ends. Errors of
// r are wrapped, so none of them passes for io.EOF or io.ErrUnexpectedEOF.
func Exactly(ctx context.Context, key string, r io.Reader, size int64) *ExactReader {
	return &ExactReader{ctx: ctx, key: key, r: r, size: size, left: size}
}

// ExactReader is what Exactly returns. It hides every method of the reader
// below but Read.
type ExactReader struct {
	ctx  context.Context
	key  string
	r    io.Reader
	size int64
	left int64 // bytes not yet given
	err  error // how it ended
}

// Err is why the reader failed; nil if it has not, or came to a clean end.
func (e *ExactReader) Err() error {
	if e.err == io.EOF { //nolint:errorlint // set so by Read
		return nil
	}
	return e.err
}

// Read implements io.Reader.
func (e *ExactReader) Read(p []byte) (int, error) {
	if e.err == nil && e.ctx.Err() != nil {
		e.err = fmt.Errorf("object %q: %w", e.key, e.ctx.Err())
	}
	if e.err == nil && e.left == 0 && e.size == 0 {
		e.err = e.end()
	}
	if e.err != nil {
		return 0, e.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	if n < 0 || int64(n) > e.left {
		panic("BUG: reader returned an impossible count")
	}
	switch {
	case int64(n) == e.left && errors.Is(err, io.EOF):
		e.err = io.EOF
	case int64(n) == e.left && err == nil:
		if e.err = e.end(); e.Err() != nil {
			return 0, e.err // hold back the last bytes: the object must not look whole
		}
	case errors.Is(err, io.EOF):
		e.err = fmt.Errorf("object %q: %d bytes were promised, the reader gave %d: %w", e.key, e.size, e.size-e.left+int64(n), ErrSize)
	case err != nil:
		e.err = fmt.Errorf("object %q: reading what to store: %w", e.key, err)
	}
	e.left -= int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, e.err
}

// idleReadsMax is how many empty reads in a row are taken for a hung reader.
const idleReadsMax = 100

// end makes sure that r has no more bytes; io.EOF means so.
func (e *ExactReader) end() error {
	var more [1]byte
	for range idleReadsMax {
		n, err := e.r.Read(more[:])
		switch {
		case n > 0:
			return fmt.Errorf("object %q: %d bytes were promised, the reader gives more: %w", e.key, e.size, ErrSize)
		case errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return fmt.Errorf("object %q: reading what to store: %w", e.key, err)
		}
	}
	return fmt.Errorf("object %q: reading what to store: %w", e.key, io.ErrNoProgress)
}
