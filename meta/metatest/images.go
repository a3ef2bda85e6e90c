package metatest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

var imageCases = []check{
	{"image/of a table", imageOfTable},
	{"image/holds while writers go on", imageHolds},
	{"image/large", largeImage},
	{"replace/a table", replaceTable},
	{"replace/none", replaceNone},
	{"replace/conflict", replaceConflict},
	{"replace/stage", stages},
}

// image reads a table whole.
func image(t T, s meta.Store, table string) (img meta.Image, files []meta.File) {
	t.Helper()
	ok(t, s.ReadImage(t.Context(), table, func(i meta.Image) error {
		img = i
		for page, err := range i.Files {
			if err != nil {
				return err
			}
			if len(page) > meta.PageMax {
				t.Errorf("a page of %d files", len(page))
			}
			files = append(files, page...)
		}
		return nil
	}))
	img.Files = nil
	return img, sortFiles(files)
}

func imageOfTable(t T, s meta.Store) {
	ctx := t.Context()
	err := s.ReadImage(ctx, "users", func(meta.Image) error { return nil })
	wantErr(t, "no table", err, meta.ErrTableNotFound)
	create(t, s, users("u1"))
	img, files := image(t, s, "users")
	equal(t, "files of an empty table", []meta.File{}, files)
	equal(t, "count", int64(0), img.Count)
	commit(t, s, adds("a", file(1), file(2)))
	commit(t, s, adds("b", file(3)))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "c"}))
	img, files = image(t, s, "users")
	equal(t, "image", meta.Image{Table: read(t, s, "users"), Version: listing(t, s, "users").Version, Units: []string{"a", "b"},
		Open: []meta.OpenUnit{{Node: "n1", Unit: "c"}}, Count: 3}, img)
	equal(t, "files", sortFiles([]meta.File{file(1), file(2), file(3)}), files)
	broken := errors.New("broken")
	wantErr(t, "error of the reader", s.ReadImage(ctx, "users", func(i meta.Image) error {
		for _, err := range i.Files {
			return errors.Join(err, broken)
		}
		return nil
	}), broken)
}

// imageHolds swaps all files while an image is read: it is of one moment.
func imageHolds(t T, s meta.Store) {
	create(t, s, users("u1"))
	var old []meta.File
	for n := range 1500 {
		old = append(old, file(n))
	}
	commit(t, s, adds("a", old...))
	swap := adds("b", file(5000))
	for _, f := range old {
		swap.Remove = append(swap.Remove, f.Path)
	}
	swapped := make(chan error, 1)
	var got int
	ok(t, s.ReadImage(t.Context(), "users", func(i meta.Image) error {
		for page, err := range i.Files {
			if err != nil {
				return err
			}
			if got == 0 {
				done := make(chan struct{})
				go func() {
					defer close(done)
					swapped <- s.Commit(t.Context(), swap)
				}()
				select { // a store may as well hold writers up until the image is read
				case <-done:
				case <-time.After(2 * time.Second):
				}
			}
			got += len(page)
		}
		return nil
	}))
	ok(t, <-swapped)
	equal(t, "files", 1500, got)
	wantFiles(t, s, file(5000))
}

func largeImage(t T, s meta.Store) {
	const n = 2*meta.PageMax + 1
	create(t, s, users("u1"))
	var want []meta.File
	for i := range n {
		want = append(want, file(i))
	}
	commit(t, s, adds("a", want...))
	img, files := image(t, s, "users")
	equal(t, "count", int64(n), img.Count)
	equal(t, "files", sortFiles(want), files)
}

// replacement is what puts table in the place of the stored one, if any.
func replacement(t T, s meta.Store, table meta.Table, files ...meta.File) meta.Replacement {
	t.Helper()
	r := meta.Replacement{Table: table, Stage: "restore_1", Count: int64(len(files)),
		Change: meta.NewChange(meta.As(t.Context(), "admin"), meta.ChangeRestore, table.Name, "from a snapshot")}
	if old, err := s.Table(t.Context(), table.Name); err == nil {
		r.Revision = old.Revision
		r.Version, err = s.Version(t.Context(), table.Name)
		ok(t, err)
	}
	for some := range slices.Chunk(files, meta.PageMax) {
		ok(t, s.StageFiles(t.Context(), table.Name, r.Stage, some))
	}
	return r
}

func replaceTable(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(1), file(2)))
	ok(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "x"}))
	before := listing(t, s, "users")

	next := users("u2")
	next.Revision, next.Config.BufferSize, next.Stats.LastWrite = 3, 77, day0
	r := replacement(t, s, next, file(2), file(4), file(5))
	wantFiles(t, s, file(1), file(2)) // nobody sees the stage
	r.Units, r.Open = []string{"b"}, []meta.OpenUnit{{Node: "n2", Unit: "y"}}
	stored, err := s.ReplaceTable(ctx, r)
	ok(t, err)
	wantFiles(t, s, file(2), file(4), file(5))
	got := read(t, s, "users")
	equal(t, "the table returned", got, stored)
	next.Revision = users("u1").Revision + 1
	next.Stats = got.Stats
	equal(t, "table", next, got)
	equal(t, "last write", day0, got.Stats.LastWrite)
	l := listing(t, s, "users")
	equal(t, "units", map[string]bool{"b": true}, l.Units)
	equal(t, "open", r.Open, l.Open)
	if l.Version <= before.Version {
		t.Errorf("version %d after %d", l.Version, before.Version)
	}
	c := history(t, s, 1)[0]
	equal(t, "history", []string{meta.ChangeRestore, "users", "from a snapshot", "admin"}, []string{c.Kind, c.Table, c.What, c.Who})

	wantErr(t, "commit to the old one", s.Commit(ctx, adds("z", file(9))), meta.ErrTableNotFound)
	repeat := adds("b", file(7)) // committed already
	repeat.TableUID = "u2"
	commit(t, s, repeat)
	wantFiles(t, s, file(2), file(4), file(5))
	swap := removes("d", file(4).Path)
	swap.TableUID = "u2"
	commit(t, s, swap)
	wantFiles(t, s, file(2), file(5))
	files, err := s.DropTable(ctx, "users", "u2")
	ok(t, err)
	equal(t, "dropped files", []meta.File{file(2), file(5)}, sortFiles(files))
}

func replaceNone(t T, s meta.Store) {
	var files []meta.File
	for n := range meta.PageMax + 5 {
		files = append(files, file(n))
	}
	_, err := s.ReplaceTable(t.Context(), replacement(t, s, users("u1"), files...))
	ok(t, err)
	wantFiles(t, s, files...)
	tables, err := s.Tables(t.Context())
	ok(t, err)
	equal(t, "tables", 1, len(tables))

	_, err = s.ReplaceTable(t.Context(), replacement(t, s, named("empty", "e")))
	ok(t, err)
	l := listing(t, s, "empty")
	equal(t, "listing", meta.Listing{Version: l.Version}, l)
	c := adds("a", file(1))
	c.Table, c.TableUID = "empty", "e"
	commit(t, s, c)
}

func replaceConflict(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	r := replacement(t, s, users("u1"), file(5))
	commit(t, s, adds("a", file(1))) // the index changed
	_, err := s.ReplaceTable(ctx, r)
	wantErr(t, "the index changed", err, meta.ErrConflict)

	r = replacement(t, s, users("u1"), file(5))
	_, err = s.UpdateTable(ctx, read(t, s, "users"))
	ok(t, err)
	_, err = s.ReplaceTable(ctx, r)
	wantErr(t, "the table changed", err, meta.ErrConflict)
	none := r
	none.Version, none.Revision = 0, 0
	_, err = s.ReplaceTable(ctx, none)
	wantErr(t, "there is a table", err, meta.ErrConflict)

	before := version(t, s)
	r = replacement(t, s, users("u1"), file(5))
	r.Count = 2
	_, err = s.ReplaceTable(ctx, r)
	wantErr(t, "files are missing", err, meta.ErrStageGone)
	ok(t, s.DropStage(ctx, "users", r.Stage))
	r.Count = 1
	_, err = s.ReplaceTable(ctx, r)
	wantErr(t, "the stage is gone", err, meta.ErrStageGone)
	wantFiles(t, s, file(1))
	equal(t, "version", before, version(t, s))
	gone := replacement(t, s, named("gone", "g"))
	gone.Version, gone.Revision = 5, 5
	_, err = s.ReplaceTable(ctx, gone)
	wantErr(t, "the table is gone", err, meta.ErrConflict)
	if _, err := s.Table(ctx, "gone"); err == nil {
		t.Errorf("a table was made by a conflict")
	}
}

func stages(t T, s meta.Store) {
	ctx := t.Context()
	create(t, s, users("u1"))
	r := replacement(t, s, users("u1"), file(1), file(1)) // twice the same
	r.Count = 1
	ok(t, s.StageFiles(ctx, "users", "other", []meta.File{file(9)}))
	_, err := s.ReplaceTable(ctx, r)
	ok(t, err)
	wantFiles(t, s, file(1))
	ok(t, s.DropStage(ctx, "users", "other"))
	ok(t, s.DropStage(ctx, "users", "other"))
	ok(t, s.DropStage(ctx, "never", "heard"))
	long := strings.Repeat("s", 100_000)
	for _, c := range []struct {
		table, stage string
		files        []meta.File
	}{{"users", "", nil}, {"users", long, nil}, {"users", "a:b", nil}, {"Users", "a", nil}, {"", "a", nil},
		{"users", "a", []meta.File{{Path: "p"}}}, {"users", "a", make([]meta.File, meta.PageMax+1)}} {
		if err := s.StageFiles(ctx, c.table, c.stage, c.files); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%d files of stage %.20q of %.20q: error %v, want InvalidArgument", len(c.files), c.stage, c.table, err)
		}
	}
	bad := r
	bad.Units = []string{""}
	if _, err := s.ReplaceTable(ctx, bad); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("an empty unit: error %v", err)
	}
}
