package check_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
)

// wide is a catalog of one table with many files, in no order, and a store
// that has them all.
type wide struct {
	check.Catalog
	check.Objects
	files int
}

func (w wide) file(i int) meta.File {
	return meta.File{Path: fmt.Sprintf("wide/id-%06d/2024-01-15/%d.parquet", i/10, 1_700_000_000_000_000_000+i), ID: fmt.Sprintf("id-%06d", i/10), HasID: true, Day: "2024-01-15", Rows: 3, Bytes: 7,
		Unit: "01HM5Z3V4W8Q9R0S1T2V3W4X5Y", Ranges: meta.NewRanges([]meta.Range{{Column: 1, Min: "1", Max: "9"}, {Column: 2, Min: "some text", Max: "some text"}})}
}

func (w wide) table() meta.Table {
	return meta.Table{Name: "wide", UID: "u", Stats: meta.Stats{Files: int64(w.files), Rows: 3 * int64(w.files), Bytes: 7 * int64(w.files)},
		Schemas: []meta.Schema{{Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: "VARCHAR"}}}, IDColumn: "id"}}}
}
func (w wide) Tables(context.Context) ([]meta.Table, error)   { return []meta.Table{w.table()}, nil }
func (w wide) Nodes(context.Context) ([]meta.Node, error)     { return nil, nil }
func (w wide) Ring(context.Context) (meta.Ring, error)        { return meta.Ring{}, nil }
func (w wide) Version(context.Context, string) (int64, error) { return 1, nil }
func (w wide) Stat(context.Context, string) (check.Object, error) {
	return check.Object{}, fault.New(fault.NotFound, "")
}
func (w wide) Get(context.Context, string) (io.ReadCloser, error) {
	return nil, fault.New(fault.NotFound, "")
}
func (w wide) ReadImage(_ context.Context, _ string, f func(meta.Image) error) error {
	return f(meta.Image{Table: w.table(), Version: 1, Count: int64(w.files), Files: func(yield func([]meta.File, error) bool) {
		blocks := rand.Perm((w.files + 99) / 100)
		for _, b := range blocks {
			var page []meta.File
			for i := b * 100; i < min(w.files, (b+1)*100); i++ {
				page = append(page, w.file(i))
			}
			slices.Reverse(page)
			if !yield(page, nil) {
				return
			}
		}
	}})
}

func (w wide) List(context.Context, string) iter.Seq2[check.Object, error] {
	return func(yield func(check.Object, error) bool) {
		for i := range w.files {
			if !yield(check.Object{Key: w.file(i).Path, Size: 7}, nil) {
				return
			}
		}
	}
}

// heap samples the live heap until stop, and returns its greatest size in MiB.
func heap() (stop func() float64) {
	ended, peak := make(chan struct{}), make(chan float64)
	go func() {
		most := uint64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-ended:
				peak <- float64(most) / (1 << 20)
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() float64 { close(ended); return <-peak }
}

func look(t testing.TB, files int) (r check.Result, took time.Duration, peak float64) {
	t.Helper()
	stop, start := heap(), time.Now()
	w := wide{files: files}
	r, err := check.Run(t.Context(), check.Deps{Catalog: w, Primary: w}, check.Options{Footers: -1, Dir: t.TempDir()})
	if err != nil || len(r.Findings) > 0 || r.Files != int64(files) || r.Objects != int64(files) {
		t.Fatal(r.Summary(), r.Findings, err)
	}
	return r, time.Since(start), stop()
}

// TestStreams: what a check takes in memory does not grow with the index.
func TestStreams(t *testing.T) {
	runtime.GC()
	_, took, peak := look(t, 200_000)
	t.Logf("%s, %.0f MiB", took, peak)
	if peak > 80 {
		t.Errorf("%.0f MiB of heap", peak)
	}
}

// BenchmarkMillion checks an index of a million files.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		_, took, peak := look(b, 1_000_000)
		b.ReportMetric(took.Seconds(), "s-check")
		b.ReportMetric(peak, "MiB-heap")
	}
}
