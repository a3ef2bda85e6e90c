package catalog

import (
	"context"
	"slices"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

const (
	historyLooked = 1_000           // changes that a look reads; more at once count as missed
	hintPause     = 5 * time.Second // before hints are asked for again
)

// watch looks at the catalog's version from time to time, and when it hears
// that it changed.
func (s *Service) watch(ctx context.Context) {
	hint := make(chan struct{}, 1)
	var hints sync.WaitGroup
	defer hints.Wait()
	if s.Watch != nil {
		hints.Go(func() { s.hear(ctx, hint) })
	}
	tick := time.NewTicker(s.o.PollEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-hint:
		}
		err := s.Look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.Log.Warn("version of the catalog cannot be read", "error", err)
		}
		failing = err != nil
	}
}

func (s *Service) hear(ctx context.Context, hint chan<- struct{}) {
	for ctx.Err() == nil {
		s.Watch(ctx, func() {
			select {
			case hint <- struct{}{}:
			default:
			}
		})
		select {
		case <-time.After(hintPause):
		case <-ctx.Done():
		}
	}
}

// Look reads the catalog's version. If it was restored since the last look, or
// changed in ways that cannot be told, this node drops what it knew of it.
func (s *Service) Look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock() // one look at a time
	v, err := s.Catalog.CatalogVersion(ctx)
	if err != nil || v == s.looked {
		return err
	}
	if err := v.Compatible(); err != nil {
		s.Log.Error("this node cannot use the catalog any more and stops", "error", err)
		if s.Fail != nil {
			s.Fail(err)
		}
		return err
	}
	changes, err := s.Catalog.History(ctx, historyLooked)
	if err != nil {
		return err
	}
	restored := missed(s.seen, v, changes)
	if s.lost = lost(s.seen, v, changes); s.lost != nil {
		s.Log.Error("the catalog seems to be lost", "error", s.lost)
	}
	if s.Reload != nil {
		if err := s.Reload(ctx, restored); err != nil {
			return err // the next look tries again
		}
	}
	if restored {
		s.Log.Info("the catalog was restored: it is read anew", "was", s.seen.String(), "version", v.String())
	}
	s.looked = v
	if s.lost == nil {
		s.seen = v
	}
	return nil
}

// missed tells whether the catalog was restored on the way from one version to
// another, or did not come there by the changes that are told.
func missed(seen, now meta.Semver, changes []meta.Change) bool {
	if now.Compare(seen) < 0 {
		return true
	}
	for _, c := range changes {
		switch {
		case c.Version.Compare(seen) <= 0:
			return c.Version != seen && seen != meta.FirstVersion
		case c.Kind == meta.ChangeRestore:
			return true
		}
	}
	return len(changes) == historyLooked || seen != meta.FirstVersion
}

// lost tells that a catalog began anew since a version of it was seen, and no
// restore is behind that: it lies before that version, or all its changes are
// told and none led there.
func lost(seen, now meta.Semver, changes []meta.Change) error {
	known := func(c meta.Change) bool { return c.Kind == meta.ChangeRestore || c.Version == seen }
	whole := len(changes) > 0 && changes[len(changes)-1].Base == meta.FirstVersion
	before := now.Compare(seen) < 0
	if seen == meta.FirstVersion || !before && !whole || slices.ContainsFunc(changes, known) {
		return nil
	}
	return fault.Newf(fault.FailedPrecondition,
		"the catalog has version %s and had %s: its metadata is gone. Stop writing, then run skein meta restore --latest --newer, or skein meta rebuild if there is no snapshot", now, seen)
}

// Lost tells why the catalog seems to be lost; nil if it does not.
func (s *Service) Lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}
