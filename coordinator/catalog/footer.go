package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"skein/internal/fault"
	"skein/meta/rebuild"
	"skein/objstore"
	"skein/objstore/ranged"
	"skein/worker"
)

// readNote reads what a data file tells of itself.
func readNote(ctx context.Context, s objstore.Store, o rebuild.Object) (worker.Note, error) {
	n, err := worker.ReadNote(ranged.New(ctx, s, o.Key, o.Size), o.Size)
	if errors.Is(err, objstore.ErrNotFound) {
		return n, fault.Wrap(fault.NotFound, err)
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
