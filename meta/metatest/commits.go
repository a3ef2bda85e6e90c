package metatest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var commitCases = []check{
	{"commit/add", commitAdd},
	{"commit/repeat is harmless", commitRepeat},
	{"commit/remove", commitRemove},
	{"commit/remove to nothing", commitRemoveAll},
	{"commit/swap", commitSwap},
	{"commit/conflict changes nothing", commitConflict},
	{"commit/bad commits are refused", badCommits},
	{"commit/last write", lastWrite},
	{"commit/version grows", versionGrows},
	{"commit/any id", anyID},
	{"commit/files without times", withoutTimes},
	{"commit/times to the nanosecond", nanoseconds},
	{"commit/many files", manyFiles},
}

func sortFiles(files []meta.File) []meta.File {
	slices.SortFunc(files, func(a, b meta.File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}

func commitAdd(t T, s meta.Store) {
	create(t, s, users("u1"))
	create(t, s, named("users2", "u1"))
	commit(t, s, adds("a", file(2), file(1)))
	wantFiles(t, s, file(1), file(2))
	commit(t, s, adds("b", file(3), file(0)))
	wantFiles(t, s, file(0), file(1), file(2), file(3))
	l := listing(t, s, "users")
	equal(t, "units", map[string]bool{"a": true, "b": true}, l.Units)
	equal(t, "a table of a similar name", meta.Stats{}, read(t, s, "users2").Stats)
}

func commitRepeat(t T, s meta.Store) {
	create(t, s, users("u1"))
	c := adds("a", file(1), file(2))
	commit(t, s, c)
	before := listing(t, s, "users")
	commit(t, s, c)
	commit(t, s, adds("a", file(3)))
	wantFiles(t, s, file(1), file(2))
	swap := removes("b", file(1).Path)
	commit(t, s, swap)
	commit(t, s, swap)
	wantFiles(t, s, file(2))
	commit(t, s, c) // does not bring file(1) back
	wantFiles(t, s, file(2))
	if v := listing(t, s, "users").Version; v <= before.Version {
		t.Errorf("version went from %d to %d", before.Version, v)
	}
}

func commitRemove(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1), file(2), file(3), file(4)))
	commit(t, s, removes("b", file(2).Path))
	wantFiles(t, s, file(1), file(3), file(4))
	commit(t, s, removes("c", file(1).Path)) // the oldest
	wantFiles(t, s, file(3), file(4))
	commit(t, s, removes("d", file(4).Path)) // the newest
	wantFiles(t, s, file(3))
}

func commitRemoveAll(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1), file(2)))
	commit(t, s, removes("b", file(1).Path, file(2).Path))
	wantFiles(t, s)
	commit(t, s, adds("c", file(1)))
	wantFiles(t, s, file(1))
}

func commitSwap(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(0), file(3), file(6), file(1)))
	swap := adds("b", file(9))
	swap.Remove = []string{file(0).Path, file(3).Path, file(6).Path}
	commit(t, s, swap)
	wantFiles(t, s, file(1), file(9))
}

func commitConflict(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1), file(2)))
	ok(t, s.OpenUnit(t.Context(), "users", "u1", meta.OpenUnit{Node: "n1", Unit: "b"}))
	before := listing(t, s, "users")
	table := read(t, s, "users")

	c := adds("b", file(3))
	c.Remove = []string{file(1).Path, file(9).Path}
	c.Time = day0.AddDate(1, 0, 0)
	err := s.Commit(t.Context(), c)
	wantErr(t, "commit", err, meta.ErrConflict)
	if err != nil && !strings.Contains(err.Error(), file(9).Path) {
		t.Errorf("the error %q does not name the path", err)
	}
	equal(t, "listing", before, listing(t, s, "users"))
	equal(t, "table", table, read(t, s, "users"))

	c.Remove = c.Remove[:1]
	commit(t, s, c)
	wantFiles(t, s, file(2), file(3))
}

func badCommits(t T, s meta.Store) {
	create(t, s, users("u1"))
	far := file(1)
	far.MaxTime = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for what, c := range map[string]meta.Commit{
		"no unit": adds("", file(1)), "a year too far": adds("a", far), "a path twice": adds("a", file(1), file(1)),
		"no path": adds("a", meta.File{Day: "2024-01-15"}), "no day": adds("a", meta.File{Path: "p"}),
		"a long path": adds("a", meta.File{Path: strings.Repeat("p", 100_000), Day: "2024-01-15"}), "a long unit": adds(strings.Repeat("u", 100_000)),
		"too many": removes("a", make([]string, meta.CommitFilesMax+1)...),
	} {
		if err := s.Commit(t.Context(), c); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: error %v, want InvalidArgument", what, err)
		}
	}
	wantFiles(t, s)
}

func lastWrite(t T, s meta.Store) {
	create(t, s, users("u1"))
	equal(t, "before any commit", time.Time{}, read(t, s, "users").Stats.LastWrite)
	for i, step := range []struct{ at, want time.Time }{
		{day0, day0},
		{day0.Add(1), day0.Add(1)},
		{day0.Add(-time.Hour), day0.Add(1)},
		{time.Time{}, day0.Add(1)},
	} {
		c := adds(fmt.Sprint("unit", i), file(i))
		c.Time = step.at
		commit(t, s, c)
		equal(t, fmt.Sprint("after commit ", i), step.want, read(t, s, "users").Stats.LastWrite)
	}
}

func versionGrows(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	unit := meta.OpenUnit{Node: "n1", Unit: "a"}
	version := listing(t, s, "users").Version
	for _, step := range []struct {
		name  string
		do    func() error
		grows bool
	}{
		{"open", func() error { return s.OpenUnit(ctx, "users", "u1", unit) }, true},
		{"commit", func() error { return s.Commit(ctx, adds("a", file(1))) }, true},
		{"commit again", func() error { return s.Commit(ctx, adds("a", file(1))) }, false},
		{"remove", func() error { return s.Commit(ctx, removes("b", file(1).Path)) }, true},
		{"forget", func() error { return s.ForgetUnits(ctx, "users", []string{"a"}) }, true},
	} {
		ok(t, step.do())
		now := listing(t, s, "users").Version
		if step.grows && now <= version || now < version {
			t.Errorf("after %s the version went from %d to %d", step.name, version, now)
		}
		version = now
	}
}

func anyID(t T, s meta.Store) {
	create(t, s, users("u1"))
	var files []meta.File
	for i, id := range []string{
		"user-123", "a:b:2024-01-15", "100%", "%41", "with space", "日本語 🦆", "_", ".", "..", "../x", "{a}", "*?[x]",
		`quote"'\`, "<&>\u2028", strings.Repeat("é", 256), "",
	} {
		f := file(i)
		f.ID, f.HasID = id, id != ""
		f.Path = meta.ObjectPath("users", meta.EncodeID(id), f.Day, int64(i))
		files = append(files, f)
	}
	bucket := file(50)
	bucket.ID, bucket.HasID = "", false
	files = append(files, bucket)
	commit(t, s, adds("a", files...))
	wantFiles(t, s, slices.Clone(files)...)
	for i, f := range files {
		commit(t, s, removes(fmt.Sprint("r", i), f.Path))
		wantFiles(t, s, slices.Clone(files[i+1:])...)
	}
}

func withoutTimes(t T, s meta.Store) {
	create(t, s, users("u1"))
	bare, timed := file(1), file(2)
	bare.MinTime, bare.MaxTime, bare.NullTimes = time.Time{}, time.Time{}, true
	commit(t, s, adds("a", bare))
	wantFiles(t, s, bare)
	commit(t, s, adds("b", timed))
	wantFiles(t, s, bare, timed)
	commit(t, s, removes("c", timed.Path))
	wantFiles(t, s, bare)
	commit(t, s, removes("d", bare.Path))
	wantFiles(t, s)
}

func nanoseconds(t T, s meta.Store) {
	create(t, s, users("u1"))
	var files []meta.File
	for i, at := range []time.Time{
		day0, day0.Add(1), day0.Truncate(time.Second), day0.Truncate(time.Second).Add(100 * time.Millisecond),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1677, 9, 21, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		f := file(i)
		f.MinTime, f.MaxTime = at, at
		files = append(files, f)
	}
	commit(t, s, adds("a", files...))
	for i := range files {
		wantFiles(t, s, slices.Clone(files[i:])...)
		commit(t, s, removes(fmt.Sprint("r", i), files[i].Path))
	}
	local := file(1)
	local.MinTime = local.MinTime.In(time.FixedZone("x", -7*3600))
	commit(t, s, adds("b", local))
	if got := listing(t, s, "users").Files[0].MinTime; got != file(1).MinTime {
		t.Errorf("time %v, want %v in UTC", got, file(1).MinTime)
	}
}

func manyFiles(t T, s meta.Store) {
	create(t, s, users("u1"))
	var files []meta.File
	var paths []string
	for i := range meta.CommitFilesMax - 1 {
		files = append(files, file(i))
		paths = append(paths, file(i).Path)
	}
	commit(t, s, adds("a", files...))
	wantFiles(t, s, files...)
	c := removes("b", paths...)
	c.Add = []meta.File{file(20_000)}
	commit(t, s, c)
	wantFiles(t, s, file(20_000))
}
