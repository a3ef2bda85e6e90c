//go:build duckdb_arrow

package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"skein/meta"
	"skein/meta/lead"
	"skein/objstore"
)

// skewed is a catalog whose clock is ahead.
type skewed struct {
	meta.Store
	by time.Duration
}

func (s skewed) Nodes(ctx context.Context) ([]meta.Node, error) {
	nodes, err := s.Store.Nodes(ctx)
	for i := range nodes {
		nodes[i].LastHeartbeat = nodes[i].LastHeartbeat.Add(s.by)
	}
	return nodes, err
}

// pausing calls before when the first object is to be deleted.
type pausing struct {
	objstore.Store
	before  func()
	deleted []string
}

func (p *pausing) Delete(ctx context.Context, key string) error {
	if len(p.deleted) == 0 {
		p.before()
	}
	p.deleted = append(p.deleted, key)
	return p.Store.Delete(ctx, key)
}

// TestPausedLeaderDeletesNothing: a leader that is paused between two deletions
// until another node has its lock deletes nothing when it goes on.
func TestPausedLeaderDeletesNothing(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{})
	h.write("alpha", [2]string{"a", `{"n":1}`}, [2]string{"b", `{"n":1}`}, [2]string{"c", `{"n":1}`})
	s := h.service(nil, Options{})
	objects, paths := map[string]string{}, []string{}
	for _, f := range h.listing("alpha") {
		objects[f.Path] = "alpha"
		paths = append(paths, f.Path)
	}
	h.must(h.store.Commit(ctx, meta.Commit{Table: "alpha", TableUID: "alpha-uid", Unit: "u", Remove: paths}), s.deletions.Add(ctx, 0, objects))
	lost := false
	store := &pausing{Store: h.objects, before: func() { lost = true }}
	s.deletions.store = store
	still := func(context.Context) error {
		if lost {
			return meta.ErrFenced
		}
		return nil
	}
	if err := s.deletions.work(ctx, h.store, time.Now(), still, s.Log); !errors.Is(err, meta.ErrFenced) || len(store.deleted) != 1 {
		t.Errorf("%v, deleted %q", err, store.deleted)
	}
	if queued, err := s.deletions.queued(ctx); err != nil || len(queued) != 3 {
		t.Errorf("the record of the queue is gone: %v %v", queued, err)
	}
	lost = false
	h.must(s.deletions.work(ctx, h.store, time.Now(), still, s.Log))
	if queued, err := s.deletions.queued(ctx); err != nil || len(queued) != 0 {
		t.Errorf("%v %v", queued, err)
	}
	var keys []string
	for range 3 {
		made, err := s.Snapshot(ctx, nil)
		h.must(err)
		keys = append(keys, made.Key)
	}
	lost = true
	if err := s.deleteSnapshots(ctx, keys[:2], still); !errors.Is(err, meta.ErrFenced) {
		t.Error(err)
	}
	if all, err := s.Snapshots(ctx); err != nil || len(all) != 3 {
		t.Errorf("%v %v", all, err)
	}
}

// TestTidyHoldsTheLock: what deletes asks the catalog for its lock.
func TestTidyHoldsTheLock(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	_, err := h.store.Lock(t.Context(), lead.RestoreOperation, "another", time.Hour)
	h.must(err)
	if err := s.tidy(t.Context()); !errors.Is(err, meta.ErrLocked) {
		t.Error(err)
	}
}

// TestCatalogsClock: what is due is due by the catalog's clock, also snapshots.
func TestCatalogsClock(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create("alpha", meta.Config{})
	h.must(h.store.Heartbeat(ctx, meta.Node{ID: "n1", Address: "127.0.0.1:1", Started: time.Now()}))
	s := h.service(skewed{h.store, 50 * time.Minute}, Options{SnapshotKeep: 30 * time.Minute, SnapshotLeast: 1})
	h.must(h.objects.Put(ctx, "gone/x", strings.NewReader("x"), 1), s.deletions.Add(ctx, 40*time.Minute, map[string]string{"gone/x": "alpha"}))
	h.must(s.tidy(ctx))
	if queued, err := s.deletions.queued(ctx); err != nil || len(queued) != 0 {
		t.Errorf("%v %v", queued, err)
	}
	for range 3 {
		_, err := s.Snapshot(ctx, nil)
		h.must(err)
	}
	h.must(s.keepSnapshots(ctx))
	if all, err := s.Snapshots(ctx); err != nil || len(all) != 1 {
		t.Errorf("%d snapshots: %v", len(all), err)
	}
	s.Catalog = skewed{h.store, 25 * time.Hour}
	if err := s.keepSnapshots(ctx); err == nil {
		t.Error("snapshots are pruned by a clock that is a day off")
	}
}

// reads counts the objects that are read.
type reads struct {
	objstore.Store
	n int
}

func (r *reads) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r.n++
	return r.Store.Get(ctx, key, offset, length)
}

// TestQueueIsReadOnce: who asks again what waits reads only what is new.
func TestQueueIsReadOnce(t *testing.T) {
	h := newHouse(t)
	s := h.service(nil, Options{})
	r := &reads{Store: h.objects}
	s.deletions.store = r
	defer s.deletions.forget()
	for i := range 3 {
		h.must(s.deletions.Add(t.Context(), time.Hour, map[string]string{fmt.Sprint("t/", i): "t"}))
		for range 5 {
			queued, err := s.Queued(t.Context())
			if err != nil || len(queued) != i+1 {
				t.Errorf("%v %v", queued, err)
			}
			clear(queued) // it is the caller's
		}
		if r.n != i+1 {
			t.Errorf("%d records are read %d times", i+1, r.n)
		}
	}
	for info, err := range h.objects.List(t.Context(), DeletionsPrefix) {
		h.must(err, h.objects.Delete(t.Context(), info.Key))
	}
	if queued, err := s.Queued(t.Context()); err != nil || len(queued) != 0 {
		t.Errorf("%v %v", queued, err)
	}
}

// TestLookHoldsNobodyUp: while a node reads the catalog anew, others hear that
// it was lost, and who waits for the next look ends with its context.
func TestLookHoldsNobodyUp(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	s := h.service(nil, Options{})
	h.lose()
	s.Catalog = h.store
	begun, done := make(chan struct{}), make(chan struct{})
	s.Reload = func(context.Context, bool) error { close(begun); <-done; return nil }
	looked := make(chan error)
	go func() { looked <- s.Look(t.Context()) }()
	<-begun
	if s.Lost() == nil {
		t.Error("the loss is not told while the node reads the catalog anew")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Look(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(done)
	h.must(<-looked)
}

// TestDeadlines: what goes on after its caller has gone does not do so for ever.
func TestDeadlines(t *testing.T) {
	h := newHouse(t)
	h.create("alpha", meta.Config{})
	s := h.service(nil, Options{})
	h.create("beta", meta.Config{})
	var ends bool
	s.Reload = func(ctx context.Context, _ bool) error { _, ends = ctx.Deadline(); return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.after(ctx, false); err != nil || !ends {
		t.Errorf("%v, with a deadline: %v", err, ends)
	}
}
