package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/redismeta"
	"skein/meta/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2024, 1, 15, 12, 0, 0, 1, time.UTC)

// each runs f with an empty catalog of each driver.
func each(t *testing.T, f func(t *testing.T, s meta.Store)) {
	t.Run("bolt", func(t *testing.T) {
		s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		f(t, s)
	})
	t.Run("redis", func(t *testing.T) {
		s, err := redismeta.Open(t.Context(), realtest.Redis(t), redismeta.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		f(t, s)
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func table(name string) meta.Table {
	return meta.Table{Name: name, UID: name + "-1", Created: noon, Config: meta.Config{RetentionDays: 30, Properties: map[string]string{"a": "<用户>"}},
		Schemas: []meta.Schema{{IDColumn: "id", Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}}}}}
}

// file is the nth of an id and day.
func file(table, id string, day, n int) meta.File {
	date := noon.AddDate(0, 0, day)
	text := date.Format(time.DateOnly)
	return meta.File{Path: meta.ObjectPath(table, meta.EncodeID(id), text, int64(1000*day+n)), ID: id, HasID: true, Day: text, Rows: 10, Bytes: 100,
		MinTime: date, MaxTime: date.Add(time.Duration(n+1) * time.Second), Unit: "u",
		Ranges: meta.NewRanges([]meta.Range{{Column: 0, Min: "<\x00", Max: "用户"}})}
}

func add(t *testing.T, s meta.Store, name, unit string, files ...meta.File) {
	t.Helper()
	must(t, s.Commit(t.Context(), meta.Commit{Table: name, TableUID: name + "-1", Node: "n1", Unit: unit, Add: files, Time: noon}))
}

// fill makes three tables, an open unit, nodes and a ring.
func fill(t *testing.T, s meta.Store) {
	t.Helper()
	ctx := meta.As(t.Context(), "alice")
	for _, name := range []string{"users", "orders", "empty"} {
		must(t, s.CreateTable(ctx, table(name)))
	}
	add(t, s, "users", "a", file("users", "ann", 0, 0), file("users", "ann", 1, 0), file("users", "bob:x/y", 0, 0))
	var many []meta.File
	for n := range 2*meta.PageMax + 3 {
		many = append(many, file("orders", "o", n%50, n))
	}
	add(t, s, "orders", "a", many...)
	must(t, s.OpenUnit(ctx, "users", "users-1", meta.OpenUnit{Node: "n1", Unit: "open"}),
		s.Heartbeat(ctx, meta.Node{ID: "n1", Address: "h:1", Roles: []string{"worker"}}), s.SetRing(ctx, meta.NewRing([]string{"n1"})))
}

// state is all that a catalog tells of its tables, but for what always grows.
func state(t *testing.T, s meta.Store) map[string]any {
	t.Helper()
	all, err := s.Tables(t.Context())
	must(t, err)
	out := map[string]any{}
	for _, tb := range all {
		l, err := s.Listing(t.Context(), tb.Name)
		must(t, err)
		tb.Revision, l.Version = 0, 0
		out[tb.Name] = []any{tb, l}
	}
	return out
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: -want +got:\n%.3000s", what, diff)
	}
}

func take(t *testing.T, s meta.Store, compress bool) ([]byte, snapshot.Summary) {
	t.Helper()
	var b bytes.Buffer
	sum, err := snapshot.Write(meta.As(t.Context(), "leader"), &b, s, snapshot.Options{Compress: compress, At: noon,
		Pool: map[string]map[string]string{"pool:redis:status": {"status": "healthy"}}})
	must(t, err)
	return b.Bytes(), sum
}

func from(data []byte) snapshot.RestoreOptions {
	return snapshot.RestoreOptions{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func TestWriteAndRead(t *testing.T) {
	each(t, func(t *testing.T, s meta.Store) {
		fill(t, s)
		for _, compress := range []bool{false, true} {
			data, sum := take(t, s, compress)
			want := snapshot.Totals{Tables: 3, Files: 2006, Rows: 20060, Bytes: 200600}
			if sum.Totals != want || sum.Size != int64(len(data)) || sum.Version != (meta.Semver{Major: 1, Minor: 3}) || !sum.At.Equal(noon) {
				t.Errorf("%+v of %d bytes", sum, len(data))
			}
			var tables []string
			h, got, err := snapshot.Read(t.Context(), bytes.NewReader(data), func(_ snapshot.Header, img meta.Image) error {
				tables = append(tables, img.Table.Name)
				return nil
			})
			must(t, err)
			same(t, "tables", []string{"empty", "orders", "users"}, tables)
			if got.Totals != want || got.Checksum != sum.Checksum || h.Who != "leader" || len(h.History) != 3 || h.History[0].Who != "alice" ||
				len(h.Nodes) != 1 || len(h.Ring.Points) != meta.VirtualNodes || h.Pool["pool:redis:status"]["status"] != "healthy" {
				t.Errorf("%+v\n%+v", got, h)
			}
		}
	})
}

func TestRestoreAll(t *testing.T) {
	each(t, func(t *testing.T, s meta.Store) {
		ctx := meta.As(t.Context(), "admin")
		fill(t, s)
		want := state(t, s)
		data, sum := take(t, s, true)

		// The catalog goes on: files, settings, a dropped and a new table.
		add(t, s, "users", "b", file("users", "cid", 0, 0))
		swap := meta.Commit{Table: "users", TableUID: "users-1", Unit: "c", Remove: []string{file("users", "ann", 1, 0).Path}, Time: noon}
		must(t, s.Commit(ctx, swap))
		users, err := s.Table(ctx, "users")
		must(t, err)
		users.Config.RetentionDays = 7
		_, err = s.UpdateTable(ctx, users)
		must(t, err)
		_, err = s.DropTable(ctx, "orders", "orders-1")
		must(t, err, s.CreateTable(ctx, table("later")))
		now := state(t, s)

		dry, err := snapshot.Restore(ctx, s, snapshot.Request{DryRun: true}, from(data))
		must(t, err)
		same(t, "after a dry run", now, state(t, s))
		wantText := `snapshot of 2024-01-15T12:00:00Z, version 1.3.0 (catalog: 1.5.0): would be restored, nothing is changed
  create   orders: +2003 -0 files, 0 -> 20030 rows
           + orders/`
		if text := dry.String(); !strings.HasPrefix(text, wantText) || !strings.Contains(text, `
  replace  users: +1 -1 files, 30 -> 30 rows
           retention_days: 7 -> 30
           + users/ann/2024-01-16/1000.parquet (10 rows)
  drop     later: +0 -0 files, 0 -> 0 rows
`) {
			t.Error(text)
		}

		safe := 0
		o := from(data)
		o.Safety = func(context.Context) error { safe++; return nil }
		done, err := snapshot.Restore(ctx, s, snapshot.Request{}, o)
		must(t, err)
		same(t, "after the restore", want, state(t, s))
		dry.DryRun, dry.After = false, done.After
		for _, r := range []*snapshot.Report{&dry, &done} {
			for i := range r.Tables {
				r.Tables[i].Examples = nil // in any order
			}
		}
		same(t, "report and dry run", dry, done)
		if safe != 1 || done.After.Compare(sum.Version) <= 0 || done.After.Compare(done.Before) <= 0 {
			t.Error(safe, done.Before, done.After)
		}
		h, err := s.History(ctx, 1)
		must(t, err)
		if h[0].Kind != meta.ChangeRestore || h[0].Who != "admin" || h[0].Version != done.After || !strings.Contains(h[0].What, "version 1.3.0, 3 tables changed") {
			t.Errorf("%+v", h[0])
		}
		again, err := snapshot.Restore(ctx, s, snapshot.Request{}, o)
		if err != nil || len(again.Tables) != 0 {
			t.Error(again, err)
		}
		// What nodes do goes on.
		add(t, s, "users", "open", file("users", "dan", 0, 0))
		if l, err := s.Listing(ctx, "users"); err != nil || len(l.Open) != 0 || len(l.Files) != 4 {
			t.Error(l, err)
		}
	})
}

func TestRestoreIntoNothing(t *testing.T) {
	each(t, func(t *testing.T, s meta.Store) {
		fill(t, s)
		want := state(t, s)
		data, _ := take(t, s, false)
		each(t, func(t *testing.T, empty meta.Store) {
			report, err := snapshot.Restore(t.Context(), empty, snapshot.Request{}, from(data))
			must(t, err)
			same(t, "after the restore", want, state(t, empty))
			if report.After.Compare(meta.Semver{Major: 1, Minor: 3}) <= 0 {
				t.Error(report.After)
			}
		})
	})
}

func TestRestoreParts(t *testing.T) {
	ann0, ann1, bob, cid := file("users", "ann", 0, 0), file("users", "ann", 1, 0), file("users", "bob:x/y", 0, 0), file("users", "cid", 0, 0)
	ann0new := file("users", "ann", 0, 7)
	for _, c := range []struct {
		name    string
		request snapshot.Request
		lost    func(meta.File) bool // objects that are gone
		want    []meta.File
		orders  bool
	}{
		{"one table", snapshot.Request{Tables: []string{"users"}}, nil, []meta.File{ann0, ann1, bob}, false},
		{"a day of all ids", snapshot.Request{Keys: []string{"index:table:users:id:*:2024-01-15"}}, nil, []meta.File{ann0, bob}, false},
		{"an id", snapshot.Request{Keys: []string{"index:table:users:id:ann:*"}}, nil, []meta.File{ann0, ann1, cid}, false},
		{"an id with odd characters", snapshot.Request{Keys: []string{"index:table:users:id:bob:x/?:*"}}, nil, []meta.File{ann0new, bob, cid}, false},
		{"nothing", snapshot.Request{Keys: []string{"index:table:other:*"}}, nil, []meta.File{ann0new, cid}, false},
		{"what is missing", snapshot.Request{Missing: true}, nil, []meta.File{ann0new, ann1, bob, cid}, true},
		{"what is missing of an id", snapshot.Request{Missing: true, Keys: []string{"index:table:users:id:ann*"}}, nil, []meta.File{ann0new, ann1, cid}, false},
		{"objects that are gone", snapshot.Request{Tables: []string{"users"}}, func(f meta.File) bool { return f.ID == "ann" }, []meta.File{bob}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, s meta.Store) {
				ctx := t.Context()
				fill(t, s)
				data, _ := take(t, s, false)
				must(t, s.Commit(ctx, meta.Commit{Table: "users", TableUID: "users-1", Unit: "b", Time: noon,
					Remove: []string{ann0.Path, ann1.Path, bob.Path}, Add: []meta.File{ann0new, cid}}))
				_, err := s.DropTable(ctx, "orders", "orders-1")
				must(t, err)
				o := from(data)
				if c.lost != nil {
					o.Keep = func(_ context.Context, _ string, files []meta.File) ([]meta.File, error) {
						return slices.DeleteFunc(files, c.lost), nil
					}
				}
				_, err = snapshot.Restore(ctx, s, c.request, o)
				must(t, err)
				l, err := s.Listing(ctx, "users")
				must(t, err)
				slices.SortFunc(c.want, func(a, b meta.File) int { return strings.Compare(a.Path, b.Path) })
				same(t, "files", c.want, l.Files)
				if len(l.Open) != 1 {
					t.Error("the open unit is lost")
				}
				if _, err := s.Table(ctx, "orders"); (err == nil) != c.orders {
					t.Error("orders:", err)
				}
			})
		})
	}
}

// TestRestoreOfBusyTable: a table that changes while it is restored is tried
// again, so that nothing of the change is lost.
func TestRestoreOfBusyTable(t *testing.T) {
	each(t, func(t *testing.T, s meta.Store) {
		fill(t, s)
		want := len(state(t, s))
		data, _ := take(t, s, false)
		must(t, s.Commit(t.Context(), meta.Commit{Table: "users", TableUID: "users-1", Unit: "b", Remove: []string{file("users", "ann", 0, 0).Path}, Time: noon}))
		o, changed := from(data), 0
		o.Keep = func(_ context.Context, _ string, files []meta.File) ([]meta.File, error) {
			if changed++; changed <= 2 {
				add(t, s, "users", fmt.Sprint("c", changed), file("users", "cid", 0, changed))
			}
			return files, nil
		}
		report, err := snapshot.Restore(t.Context(), s, snapshot.Request{Missing: true}, o)
		must(t, err)
		l, err := s.Listing(t.Context(), "users")
		must(t, err)
		if len(l.Files) != 5 || len(report.Tables) != 1 || changed != 3 || len(state(t, s)) != want {
			t.Errorf("%d files, %d tries: %v", len(l.Files), changed, report)
		}
	})
}

// TestRestoreFails: whatever goes wrong, a table is as it was.
func TestRestoreFails(t *testing.T) {
	each(t, func(t *testing.T, s meta.Store) {
		fill(t, s)
		data, _ := take(t, s, false)
		add(t, s, "users", "b", file("users", "cid", 0, 0))
		before := state(t, s)
		broken := errors.New("broken")
		for name, c := range map[string]struct {
			request snapshot.Request
			change  func(*snapshot.RestoreOptions)
			want    fault.Code
			text    string
		}{
			"no safety": {snapshot.Request{}, func(o *snapshot.RestoreOptions) { o.Safety = func(context.Context) error { return broken } }, fault.Internal, "to be safe: broken"},
			"cannot open": {snapshot.Request{}, func(o *snapshot.RestoreOptions) {
				o.Open = func(context.Context) (io.ReadCloser, error) { return nil, broken }
			}, fault.Internal, "broken"},
			"no snapshot":  {snapshot.Request{}, func(o *snapshot.RestoreOptions) { o.Open = nil }, fault.InvalidArgument, "no snapshot"},
			"bad pattern":  {snapshot.Request{Keys: []string{"users*"}}, nil, fault.InvalidArgument, "key pattern"},
			"no table":     {snapshot.Request{Tables: []string{"gone"}}, nil, fault.NotFound, `no table "gone"`},
			"other layout": {snapshot.Request{}, swap(data, `"version":"1.3.0"`, `"version":"2.3.0"`), fault.FailedPrecondition, "reads versions 1.x"},
			"half way": {snapshot.Request{Tables: []string{"users"}}, func(o *snapshot.RestoreOptions) {
				o.Keep = func(context.Context, string, []meta.File) ([]meta.File, error) { return nil, broken }
			}, fault.Internal, "restore of table users: broken"},
		} {
			o := from(data)
			if c.change != nil {
				c.change(&o)
			}
			_, err := snapshot.Restore(t.Context(), s, c.request, o)
			if err == nil || fault.CodeOf(err) != c.want || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: error %v", name, err)
			}
			same(t, name, before, state(t, s))
		}
	})
}

func swap(data []byte, old, with string) func(*snapshot.RestoreOptions) {
	return func(o *snapshot.RestoreOptions) { *o = from(bytes.Replace(data, []byte(old), []byte(with), 1)) }
}

// TestDamage changes and cuts a snapshot everywhere: each is noticed.
func TestDamage(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	must(t, err)
	defer s.Close()
	must(t, s.CreateTable(t.Context(), table("users")))
	add(t, s, "users", "a", file("users", "ann", 0, 0), file("users", "ann", 1, 0))
	for _, compress := range []bool{false, true} {
		data, _ := take(t, s, compress)
		try := func(what string, damaged []byte) {
			t.Helper()
			_, _, err := snapshot.Read(t.Context(), bytes.NewReader(damaged), nil)
			if err == nil {
				t.Errorf("compressed %v, %s: no error", compress, what)
			}
		}
		for i := 0; i < len(data); i += 3 {
			changed := bytes.Clone(data)
			changed[i] ^= 1
			if compress && i < 8 {
				continue // the frame's header has spare bits
			}
			try(fmt.Sprint("byte ", i, " changed"), changed)
			try(fmt.Sprint("cut at ", i), data[:i])
		}
		try("something follows", append(bytes.Clone(data), '1'))
	}
	_, _, err = snapshot.Read(t.Context(), strings.NewReader(`{"format":1,"version":"1.0.0","tables":[{"table":{"Name":"t"},"files":["`+strings.Repeat("x", 70<<20)), nil)
	if err == nil || !strings.Contains(err.Error(), "a value has more than 67108864 bytes") {
		t.Errorf("an endless value: %.300v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := snapshot.Read(ctx, strings.NewReader("{}"), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
