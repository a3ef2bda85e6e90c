package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"skein/internal/fault"
	"skein/meta/rebuild"
	"skein/objstore"
	"skein/worker"
)

// tailBytes is how much of an object's end is read at once: most footers.
const tailBytes = 64 << 10

// readNote reads what a data file tells of itself.
func readNote(ctx context.Context, s objstore.Store, o rebuild.Object) (worker.Note, error) {
	n, err := worker.ReadNote(&ranged{ctx: ctx, s: s, key: o.Key, size: o.Size}, o.Size)
	if errors.Is(err, objstore.ErrNotFound) {
		return n, fault.Wrap(fault.NotFound, err)
	}
	return n, err
}

// ranged reads an object by ranges, its end first.
type ranged struct {
	ctx  context.Context
	s    objstore.Store
	key  string
	size int64
	tail []byte
}

// ReadAt implements io.ReaderAt.
func (r *ranged) ReadAt(b []byte, offset int64) (int, error) {
	if r.tail == nil {
		tail := make([]byte, min(tailBytes, r.size))
		if _, err := r.read(tail, r.size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		r.tail = tail
	}
	if at := offset - (r.size - int64(len(r.tail))); at >= 0 && at <= int64(len(r.tail)) {
		n := copy(b, r.tail[at:])
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	}
	return r.read(b, offset)
}

func (r *ranged) read(b []byte, offset int64) (int, error) {
	body, err := r.s.Get(r.ctx, r.key, offset, int64(len(b)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// ahead reads the notes of objects before they are asked for, some at once.
type ahead struct {
	mu    sync.Mutex
	notes map[string]chan noted
}

type noted struct {
	worker.Note
	err error
}

// objects passes on the objects that want chooses, having begun to read their
// notes. It waits for what it began.
func (a *ahead) objects(ctx context.Context, s objstore.Store, prefix string, parallel int, want func(objstore.Info) bool) iter.Seq2[rebuild.Object, error] {
	return func(yield func(rebuild.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var reading sync.WaitGroup
		defer reading.Wait()
		defer cancel()
		var begun []rebuild.Object
		for info, err := range s.List(ctx, prefix) {
			if err != nil {
				yield(rebuild.Object{}, fmt.Errorf("objects of %s: %w", prefix, err))
				return
			}
			if !want(info) {
				continue
			}
			o := rebuild.Object{Key: info.Key, Size: info.Size}
			done := make(chan noted, 1)
			a.mu.Lock()
			a.notes[o.Key] = done
			a.mu.Unlock()
			reading.Go(func() {
				n, err := readNote(ctx, s, o)
				done <- noted{n, err}
			})
			if begun = append(begun, o); len(begun) < parallel {
				continue
			}
			if !yield(begun[0], nil) {
				return
			}
			begun = begun[1:]
		}
		for _, o := range begun {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// take waits for a note.
func (a *ahead) take(ctx context.Context, key string) (worker.Note, error) {
	a.mu.Lock()
	done := a.notes[key]
	delete(a.notes, key)
	a.mu.Unlock()
	if done == nil {
		return worker.Note{}, fault.New(fault.FailedPrecondition, "not the path of a data file")
	}
	select {
	case n := <-done:
		return n.Note, n.err
	case <-ctx.Done():
		return worker.Note{}, ctx.Err()
	}
}
