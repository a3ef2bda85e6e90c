package metatest

import (
	"context"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var contextCases = []check{
	{"context/cancelled", func(t T, s meta.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		endedContext(t, s, ctx, fault.Canceled)
	}},
	{"context/deadline", func(t T, s meta.Store) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		endedContext(t, s, ctx, fault.DeadlineExceeded)
	}},
}

// endedContext tries all methods with a context that has ended: each says so
// at once, and none changes anything.
func endedContext(t T, s meta.Store, ctx context.Context, want fault.Code) {
	create(t, s, users("u1"))
	before := read(t, s, "users")
	calls := map[string]func() error{
		"CreateTable":    func() error { return s.CreateTable(ctx, named("other", "u2")) },
		"Table":          func() error { _, err := s.Table(ctx, "users"); return err },
		"Tables":         func() error { _, err := s.Tables(ctx); return err },
		"UpdateTable":    func() error { _, err := s.UpdateTable(ctx, before); return err },
		"DropTable":      func() error { _, err := s.DropTable(ctx, "users", "u1"); return err },
		"OpenUnit":       func() error { return s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n", Unit: "u"}) },
		"Commit":         func() error { return s.Commit(ctx, adds("a", file(1))) },
		"ForgetUnits":    func() error { return s.ForgetUnits(ctx, "users", []string{"a"}) },
		"Version":        func() error { _, err := s.Version(ctx, "users"); return err },
		"Birth":          func() error { _, err := s.Birth(ctx); return err },
		"Listing":        func() error { _, err := s.Listing(ctx, "users"); return err },
		"Heartbeat":      func() error { return s.Heartbeat(ctx, worker("n1")) },
		"Leave":          func() error { return s.Leave(ctx, "n1") },
		"Nodes":          func() error { _, err := s.Nodes(ctx); return err },
		"Reap":           func() error { _, err := s.Reap(ctx, time.Hour); return err },
		"Ring":           func() error { _, err := s.Ring(ctx); return err },
		"SetRing":        func() error { return s.SetRing(ctx, meta.NewRing([]string{"n1"})) },
		"CatalogVersion": func() error { _, err := s.CatalogVersion(ctx); return err },
		"History":        func() error { _, err := s.History(ctx, 1); return err },
		"Record":         func() error { _, err := s.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", "")); return err },
		"Lock":           func() error { _, err := s.Lock(ctx, "job", "n1", time.Minute); return err },
		"Unlock":         func() error { return s.Unlock(ctx, "job", "n1") },
		"ReadImage":      func() error { return s.ReadImage(ctx, "users", func(meta.Image) error { return nil }) },
		"StageFiles":     func() error { return s.StageFiles(ctx, "users", "s", []meta.File{file(1)}) },
		"DropStage":      func() error { return s.DropStage(ctx, "users", "s") },
		"ReplaceTable":   func() error { return writes(s, before)["ReplaceTable"](ctx) },
		"Ping":           func() error { return s.Ping(ctx) },
	}
	for name, call := range calls {
		start := time.Now()
		if err := call(); fault.CodeOf(err) != want {
			t.Errorf("%s: error %v, want code %v", name, err, want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	equal(t, "table", before, read(t, s, "users"))
	wantFiles(t, s)
	equal(t, "nodes", []meta.Node{}, nodes(t, s))
	tables, err := s.Tables(t.Context())
	ok(t, err)
	equal(t, "number of tables", 1, len(tables))
}
