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
	select {
	case s.looking <- struct{}{}: // one at a time
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	looked, seen := s.looked, s.seen
	s.mu.Unlock()
	now, err := s.state(ctx)
	if err != nil || now == looked {
		return err
	}
	if err := now.version.Compatible(); err != nil {
		s.Log.Error("this node cannot use the catalog any more and stops", "error", err)
		if s.Fail != nil {
			s.Fail(err)
		}
		return err
	}
	changes, err := s.changes(ctx, seen, now)
	if err != nil {
		return err
	}
	restored, gone := missed(seen, now, changes), lost(seen, now, changes)
	if gone != nil {
		s.Log.Error("the catalog seems to be lost", "error", gone)
	}
	s.mu.Lock()
	s.lost = gone
	s.mu.Unlock()
	if s.Reload != nil {
		if err := s.Reload(ctx, restored); err != nil {
			return err // the next look tries again
		}
	}
	if restored {
		s.Log.Info("the catalog was restored: it is read anew", "was", seen.version.String(), "version", now.version.String())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = now
	if gone == nil {
		s.seen = now
	}
	return nil
}

// state is which catalog there is, and where it has come to.
type state struct {
	birth   string // not known if empty
	version meta.Semver
}

// another tells that a and b are two catalogs.
func (a state) another(b state) bool { return a.birth != "" && b.birth != "" && a.birth != b.birth }

func (s *Service) state(ctx context.Context) (now state, err error) {
	if now.birth, err = s.Catalog.Birth(ctx); err != nil {
		return now, err
	}
	now.version, err = s.Catalog.CatalogVersion(ctx)
	return now, err
}

// changes are those that tell how the catalog came from one state to another:
// all that are known if it is another catalog.
func (s *Service) changes(ctx context.Context, seen, now state) ([]meta.Change, error) {
	if seen.another(now) {
		return s.Catalog.History(ctx, meta.HistoryMax)
	}
	return s.Catalog.History(ctx, historyLooked)
}

// missed tells whether the catalog was restored on the way from one version to
// another, or did not come there by the changes that are told.
func missed(seen, now state, changes []meta.Change) bool {
	if now.version.Compare(seen.version) < 0 || now.another(seen) {
		return true
	}
	for _, c := range changes {
		switch {
		case c.Version.Compare(seen.version) <= 0:
			return c.Version != seen.version && seen.version != meta.FirstVersion
		case c.Kind == meta.ChangeRestore:
			return true
		}
	}
	return len(changes) == historyLooked || seen.version != meta.FirstVersion
}

// lost tells that a catalog began anew since a version of it was seen, and no
// restore is behind that: it is another catalog, or lies before that version,
// or all its changes are told and none led there.
func lost(seen, now state, changes []meta.Change) error {
	another := now.another(seen)
	known := func(c meta.Change) bool {
		return c.Kind == meta.ChangeRestore && (c.Table == "" || !another) || c.Version == seen.version && !another
	}
	whole := len(changes) > 0 && changes[len(changes)-1].Base == meta.FirstVersion
	before := now.version.Compare(seen.version) < 0
	if seen.version == meta.FirstVersion || !another && !before && !whole || slices.ContainsFunc(changes, known) {
		return nil
	}
	return fault.Newf(fault.FailedPrecondition,
		"the catalog has version %s and had %s: its metadata is gone. Stop writing, then run skein meta restore --latest --newer, or skein meta rebuild if there is no snapshot", now.version, seen.version)
}

// Lost tells why the catalog seems to be lost; nil if it does not.
func (s *Service) Lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}
