// Package ranged reads an object at places, as a file.
//
// It owns what is asked of the store for that, and tells errors of the store
// from the end of an object. It does not know what is in the object.
package ranged

import (
	"context"
	"errors"
	"io"
)

// tailBytes is how much of an object's end is read at once: most footers.
const tailBytes = 64 << 10

// Store is what a Reader needs of an object store.
type Store interface {
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// Reader implements io.ReaderAt for one object. It is for one goroutine.
type Reader struct {
	ctx  context.Context
	s    Store
	key  string
	size int64
	tail []byte // read before anything else; nil until then
	err  error
}

// New returns a reader of an object of that size.
func New(ctx context.Context, s Store, key string, size int64) *Reader {
	return &Reader{ctx: ctx, s: s, key: key, size: size}
}

// Err is the first error of the store; nil if only the object was wrong.
func (r *Reader) Err() error { return r.err }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(b []byte, offset int64) (int, error) {
	if r.tail == nil {
		tail := make([]byte, min(tailBytes, r.size))
		n, err := r.read(tail, r.size-int64(len(tail)))
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		r.tail = tail[:n]
	}
	if at := offset - (r.size - min(tailBytes, r.size)); at >= 0 && at <= int64(len(r.tail)) {
		n := copy(b, r.tail[at:])
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	}
	return r.read(b, offset)
}

func (r *Reader) read(b []byte, offset int64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	body, err := r.s.Get(r.ctx, r.key, offset, int64(len(b)))
	if err != nil {
		return 0, r.fail(err)
	}
	defer body.Close()
	n, err := io.ReadFull(body, b)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return n, io.EOF
	case err != nil:
		return n, r.fail(err)
	}
	return n, nil
}

func (r *Reader) fail(err error) error {
	if r.err == nil {
		r.err = err
	}
	return err
}
