package check_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/meta"
	"skein/meta/check"
)

// damage is planted in a table with three files, and tells which path is to be
// found.
type damage struct {
	name  string
	kind  check.Kind
	plant func(h *house, table string, f []meta.File) (path string)
	deep  bool
	left  bool // nothing tells how to mend it
}

var damages = []damage{
	{name: "gone", kind: check.Missing, plant: func(h *house, _ string, f []meta.File) string {
		h.must(h.main.Delete(h.t.Context(), f[0].Path))
		return f[0].Path
	}},
	{name: "orphan", kind: check.Orphan, plant: func(h *house, table string, f []meta.File) string {
		path := meta.ObjectPath(table, "id-0", day1, 1_700_000_000_000_000_000)
		h.put(h.main, path, h.get(h.main, f[0].Path))
		return path
	}},
	{name: "size", kind: check.WrongSize, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[1], func(f *meta.File) { f.Bytes += 7 })
		return f[1].Path
	}},
	{name: "rows", kind: check.WrongRows, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[2], func(f *meta.File) { f.Rows++ })
		return f[2].Path
	}},
	{name: "cut", kind: check.Damaged, plant: func(h *house, _ string, f []meta.File) string {
		data := h.get(h.main, f[0].Path)
		h.put(h.main, f[0].Path, data[:len(data)-9])
		return f[0].Path
	}},
	{name: "spoilt", kind: check.Damaged, plant: func(h *house, _ string, f []meta.File) string {
		data := h.get(h.main, f[0].Path)
		footer := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
		copy(data[footer:], strings.Repeat("\xff", 30))
		h.put(h.main, f[0].Path, data)
		return f[0].Path
	}},
	{name: "other", kind: check.Damaged, plant: func(h *house, _ string, f []meta.File) string {
		h.put(h.main, f[0].Path, h.get(h.main, f[1].Path))
		return f[0].Path
	}},
	{name: "ranges", kind: check.WrongBounds, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) {
			f.Ranges = meta.NewRanges([]meta.Range{{Column: 2, Min: "100", Max: "200"}})
		})
		return f[0].Path
	}},
	{name: "times", kind: check.WrongBounds, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) { f.MaxTime = f.MinTime })
		return f[0].Path
	}},
	{name: "day", kind: check.WrongBounds, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) { f.Day = "2023-11-20" })
		return f[0].Path
	}},
	{name: "id", kind: check.WrongBounds, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) { f.ID = "somebody" })
		return f[0].Path
	}},
	{name: "path", kind: check.WrongPath, plant: func(h *house, table string, f []meta.File) string {
		moved := f[0]
		moved.Path = meta.ObjectPath(table, "id-9", day1, 1_700_000_000_000_000_009)
		h.put(h.main, moved.Path, h.get(h.main, f[0].Path))
		h.backUp(moved.Path)
		h.must(h.main.Delete(h.t.Context(), f[0].Path))
		h.must(h.catalog.Commit(h.t.Context(), meta.Commit{Table: table, TableUID: table + "-uid", Unit: "moved", Add: []meta.File{moved}, Remove: []string{f[0].Path}}))
		return moved.Path
	}},
	{name: "elsewhere", kind: check.WrongPath, plant: func(h *house, table string, f []meta.File) string {
		moved := f[0]
		moved.Path = meta.ObjectPath("healthy", "id-0", day1, 1_700_000_000_000_000_010)
		h.put(h.main, moved.Path, h.get(h.main, f[0].Path))
		h.backUp(moved.Path)
		h.must(h.main.Delete(h.t.Context(), f[0].Path))
		h.must(h.catalog.Commit(h.t.Context(), meta.Commit{Table: table, TableUID: table + "-uid", Unit: "moved", Add: []meta.File{moved}, Remove: []string{f[0].Path}}))
		return moved.Path
	}},
	{name: "schema", kind: check.WrongSchema, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) { f.SchemaVersion = 9 })
		return f[0].Path
	}},
	{name: "columns", kind: check.WrongSchema, plant: func(h *house, table string, f []meta.File) string {
		h.change(table, f[0], func(f *meta.File) { f.SchemaVersion, f.Ranges = 0, "" }) // without n, x and text
		return f[0].Path
	}},
	{name: "doubled", kind: check.Doubled, plant: func(h *house, table string, f []meta.File) string {
		twin := f[0]
		twin.Path = meta.ObjectPath(table, "id-0", day1, 1_900_000_000_000_000_000)
		h.put(h.main, twin.Path, withoutNote(h, f[0].Path))
		twin.Bytes = int64(len(h.get(h.main, twin.Path)))
		h.backUp(twin.Path)
		h.commit(table, twin)
		return twin.Path
	}},
	{name: "unsaved", kind: check.BackupMissing, plant: func(h *house, _ string, f []meta.File) string {
		h.must(h.spare.Delete(h.t.Context(), f[1].Path))
		return f[1].Path
	}},
	{name: "stale", kind: check.BackupDiffers, plant: func(h *house, _ string, f []meta.File) string {
		h.put(h.spare, f[1].Path, []byte("other"))
		return f[1].Path
	}},
	{name: "flipped", kind: check.BackupDiffers, deep: true, left: true, plant: func(h *house, _ string, f []meta.File) string {
		data := h.get(h.spare, f[1].Path)
		data[10] ^= 1
		h.put(h.spare, f[1].Path, data)
		return f[1].Path
	}},
	{name: "statistics", kind: check.Statistics, plant: func(h *house, table string, _ []meta.File) string {
		h.must(h.redis.HIncrBy(h.t.Context(), "table:"+table+":stats", "record_count", 5).Err())
		return ""
	}},
	{name: "oldest", kind: check.Statistics, plant: func(h *house, table string, _ []meta.File) string {
		h.must(h.redis.HSet(h.t.Context(), "table:"+table+":stats", "oldest_record", meta.FormatTime(time.Unix(1, 0))).Err())
		return ""
	}},
}

// withoutNote is a file with the same rows that does not tell its path.
func withoutNote(h *house, path string) []byte {
	return h.rewriteFile(h.get(h.main, path))
}

// TestKinds plants each kind of damage, finds exactly that, mends it, and finds
// nothing any more.
func TestKinds(t *testing.T) {
	h := newHouse(t)
	h.fill("healthy")
	if got := h.run(options()); len(got.Findings) > 0 {
		t.Fatal(got.Findings)
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			h := *h
			h.t = t
			h.damage(d)
		})
	}
}

func (h *house) damage(d damage) {
	h.t.Helper()
	table := "t_" + d.name
	files := h.fill(table)
	before := h.rows(table)
	path := d.plant(h, table, files)
	o := options()
	o.Deep = d.deep
	want := []string{fmt.Sprintf("%s %s", d.kind, path)}
	got := h.run(o)
	if diff := cmp.Diff(want, found(got)); diff != "" {
		h.t.Fatalf("%s\n%v", diff, got.Findings)
	}
	h.t.Log(got.Findings[0])

	o.Policy, o.DryRun = check.All(), true
	got = h.run(o)
	if d.left {
		if got.Findings[0].State != check.StateLeft || got.Findings[0].Did == "" {
			h.t.Error(got.Findings)
		}
		h.backUp(path)
		return
	}
	if c := got.Counts[d.kind]; c != (check.Count{Found: 1, Planned: 1}) || got.Findings[0].State != check.StatePlanned {
		h.t.Errorf("dry run: %+v %v", c, got.Findings)
	}
	h.t.Log(got.Findings[0])
	o.Policy, o.DryRun = nil, false
	if diff := cmp.Diff(want, found(h.run(o))); diff != "" {
		h.t.Fatal("the dry run changed something: " + diff)
	}

	o.Policy = check.All()
	got = h.run(o)
	if c := got.Counts[d.kind]; c != (check.Count{Found: 1, Repaired: 1}) || got.Damage() != 0 {
		h.t.Errorf("repair: %+v %v", c, got.Findings)
	}
	if keys := h.keys(h.main, fmt.Sprintf("%s%s/%s/", check.LogPrefix, got.Started.Format(time.DateOnly), got.Run)); len(keys) < 2 {
		h.t.Errorf("log %v", keys)
	}
	o.Policy, o.Deep = nil, true
	if got = h.run(o); len(got.Findings) > 0 {
		h.t.Errorf("after the repair: %v", got.Findings)
	}
	if after := h.rows(table); after != before {
		h.t.Errorf("rows %s, were %s", after, before)
	}
	stats, err := h.catalog.Table(h.t.Context(), table)
	h.must(err)
	if stats.Stats.Rows != 30 || stats.Stats.Files != 3 {
		h.t.Errorf("statistics %+v", stats.Stats)
	}
}

// rewriteFile writes a Parquet file's rows anew by DuckDB.
func (h *house) rewriteFile(data []byte) []byte {
	h.t.Helper()
	from, to := h.temp("from", data), h.temp("to", nil)
	conn, err := h.db.Conn(h.t.Context())
	h.must(err)
	defer conn.Close()
	_, err = conn.Exec(h.t.Context(), "COPY (SELECT * FROM read_parquet("+from+")) TO "+to+" (FORMAT parquet, COMPRESSION zstd)")
	h.must(err)
	return h.read(to)
}
