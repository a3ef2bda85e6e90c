package snapshot_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/redismeta"
	"skein/meta/snapshot"
)

// wide is a catalog of one table with many files, made as they are read.
type wide struct{ files int }

func (w wide) CatalogVersion(context.Context) (meta.Semver, error) { return meta.FirstVersion, nil }
func (w wide) History(context.Context, int) ([]meta.Change, error) { return nil, nil }
func (w wide) Nodes(context.Context) ([]meta.Node, error)          { return nil, nil }
func (w wide) Ring(context.Context) (meta.Ring, error)             { return meta.Ring{}, nil }
func (w wide) Tables(context.Context) ([]meta.Table, error)        { return []meta.Table{table("wide")}, nil }
func (w wide) ReadImage(_ context.Context, _ string, f func(meta.Image) error) error {
	return f(meta.Image{Table: table("wide"), Version: 1, Count: int64(w.files), Files: func(yield func([]meta.File, error) bool) {
		for at := 0; at < w.files; {
			var page []meta.File
			for ; len(page) < meta.PageMax && at < w.files; at++ {
				page = append(page, file("wide", fmt.Sprint("id-", at%1000), at%365, at))
			}
			if !yield(page, nil) {
				return
			}
		}
	}})
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

// BenchmarkMillion writes and reads an index of a million files.
func BenchmarkMillion(b *testing.B) {
	for _, compress := range []bool{false, true} {
		b.Run(fmt.Sprintf("zstd=%v", compress), func(b *testing.B) { million(b, 1_000_000, compress) })
	}
}

func million(b *testing.B, files int, compress bool) {
	path := filepath.Join(b.TempDir(), "snapshot")
	for b.Loop() {
		stop := heap()
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		sum, err := snapshot.Write(b.Context(), f, wide{files}, snapshot.Options{Compress: compress})
		if err != nil || sum.Totals.Files != int64(files) {
			b.Fatal(sum, err)
		}
		wrote := time.Since(start)
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if _, got, err := snapshot.Read(b.Context(), bufio.NewReader(f), nil); err != nil || got.Checksum != sum.Checksum {
			b.Fatal(err)
		}
		b.ReportMetric(wrote.Seconds(), "s-write")
		b.ReportMetric(time.Since(start).Seconds(), "s-read")
		b.ReportMetric(stop(), "MiB-heap")
		b.ReportMetric(float64(sum.Size)/(1<<20), "MiB-file")
		_ = f.Close()
	}
}

// TestStreams: what a snapshot takes in memory does not grow with the index.
func TestStreams(t *testing.T) {
	stop := heap()
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := snapshot.Write(t.Context(), pw, wide{100_000}, snapshot.Options{})
		_ = pw.CloseWithError(err)
		done <- err
	}()
	_, sum, err := snapshot.Read(t.Context(), pr, nil)
	must(t, err, <-done)
	if peak := stop(); sum.Totals.Files != 100_000 || peak > 40 {
		t.Errorf("%d files with %.0f MiB of heap", sum.Totals.Files, peak)
	}
}

// BenchmarkMillionRedis restores a million files into a real Redis and takes a
// snapshot of it.
func BenchmarkMillionRedis(b *testing.B) {
	s, err := redismeta.Open(b.Context(), realtest.Redis(b), redismeta.Options{Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(b.TempDir(), "snapshot")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := snapshot.Write(b.Context(), f, wide{1_000_000}, snapshot.Options{}); err != nil {
		b.Fatal(err)
	}
	_ = f.Close()
	open := func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
	for b.Loop() {
		stop, start := heap(), time.Now()
		report, err := snapshot.Restore(b.Context(), s, snapshot.Request{}, snapshot.RestoreOptions{Open: open})
		if err != nil {
			b.Fatal(report, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-restore")
		b.ReportMetric(stop(), "MiB-heap-restore")
		stop, start = heap(), time.Now()
		sum, err := snapshot.Write(b.Context(), io.Discard, s, snapshot.Options{})
		if err != nil || sum.Totals.Files != 1_000_000 {
			b.Fatal(sum, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-snapshot")
		b.ReportMetric(stop(), "MiB-heap-snapshot")
		start = time.Now()
		if report, err := snapshot.Restore(b.Context(), s, snapshot.Request{DryRun: true}, snapshot.RestoreOptions{Open: open}); err != nil || len(report.Tables) != 0 {
			b.Fatal(report, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-dryrun")
	}
}
