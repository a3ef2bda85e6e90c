package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"skein/internal/launch"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/redismeta"
	"skein/meta/snapshot"
)

// CatalogReport is of suite catalog.
type CatalogReport struct {
	Files int           `json:"files"`
	Steps []CatalogStep `json:"steps"`
}

// CatalogStep is one thing done with a catalog.
type CatalogStep struct {
	Store    string  `json:"store"` // redis or embedded
	What     string  `json:"what"`
	Seconds  float64 `json:"seconds"`
	GrownMB  float64 `json:"memory_grown_mb"` // of this process at most, beside what maps files; 0 where the system does not tell
	Snapshot int64   `json:"snapshot_bytes"`
}

const (
	catalogTable    = "catalog_bench"
	catalogIDs      = 1_000
	catalogDays     = 365
	catalogGrownMax = 300.0 // MB
	memoryEvery     = 20 * time.Millisecond
)

func (c *CatalogReport) targets() []Target {
	var all []Target
	for _, s := range c.Steps {
		all = append(all, atMost(fmt.Sprintf("MB that memory grows by: %s, %s", s.Store, s.What), s.GrownMB, catalogGrownMax))
	}
	return all
}

// runCatalog fills each kind of store with an index by restoring a snapshot,
// takes a snapshot of it, and looks what a restore would change: nothing.
func runCatalog(ctx context.Context, o Options) (*CatalogReport, error) {
	dir, err := os.MkdirTemp(o.TempDir, "skein-bench-")
	if err != nil {
		return nil, invalid("temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &CatalogReport{Files: o.CatalogFiles}
	source := filepath.Join(dir, "snapshot")
	if _, err := saveSnapshot(ctx, source, madeUp{o.CatalogFiles}); err != nil {
		return nil, err
	}
	embedded := func() (meta.Store, func(), error) {
		s, err := boltmeta.Open(filepath.Join(dir, "catalog.db"), boltmeta.Options{})
		return s, func() {}, err
	}
	for _, one := range []struct {
		name string
		open func() (meta.Store, func(), error)
	}{{"redis", func() (meta.Store, func(), error) { return openRedis(ctx, dir) }}, {"embedded", embedded}} {
		store, stop, err := one.open()
		if err != nil {
			return r, err
		}
		err = r.measure(ctx, o, one.name, dir, source, store)
		err = errors.Join(err, store.Close())
		stop()
		if err != nil {
			return r, fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return r, nil
}

func openRedis(ctx context.Context, dir string) (meta.Store, func(), error) {
	server, err := launch.Redis(ctx, "127.0.0.1", dir)
	if err != nil {
		return nil, nil, err
	}
	s, err := redismeta.Open(ctx, "redis://"+server.Addr+"/0", redismeta.Options{Timeout: time.Minute})
	if err != nil {
		server.Kill()
		return nil, nil, err
	}
	return s, server.Kill, nil
}

// measure does each step with one store.
func (r *CatalogReport) measure(ctx context.Context, o Options, name, dir, source string, store meta.Store) error {
	restore := func(dry bool, want int) func() (int64, error) {
		return func() (int64, error) {
			report, err := snapshot.Restore(ctx, store, snapshot.Request{DryRun: dry},
				snapshot.RestoreOptions{Open: func(context.Context) (io.ReadCloser, error) { return os.Open(source) }, Dir: dir})
			if err == nil && len(report.Tables) != want {
				err = fmt.Errorf("%d tables differ, want %d", len(report.Tables), want)
			}
			return 0, err
		}
	}
	for _, step := range []struct {
		what string
		do   func() (int64, error)
	}{
		{"restore", restore(false, 1)},
		{"snapshot", func() (int64, error) {
			sum, err := saveSnapshot(ctx, filepath.Join(dir, "again"), store)
			if err == nil && sum.Totals.Files != int64(o.CatalogFiles) {
				err = fmt.Errorf("the snapshot has %d files, want %d", sum.Totals.Files, o.CatalogFiles)
			}
			return sum.Size, err
		}},
		{"dry run", restore(true, 0)},
	} {
		stop, start := watchMemory(), time.Now()
		size, err := step.do()
		took, grown := time.Since(start).Seconds(), stop()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		r.Steps = append(r.Steps, CatalogStep{Store: name, What: step.what, Seconds: took, GrownMB: grown, Snapshot: size})
		fmt.Fprintf(o.Progress, "%s, %s of %d files: %.1f s, memory grown by %.0f MB\n", name, step.what, o.CatalogFiles, took, grown)
	}
	return nil
}

func saveSnapshot(ctx context.Context, path string, s snapshot.Source) (sum snapshot.Summary, err error) {
	f, err := os.Create(path)
	if err != nil {
		return sum, invalid("temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return snapshot.Write(ctx, f, s, snapshot.Options{Compress: true})
}

// watchMemory samples this process's memory until stop, which tells by how many
// MB it grew at most.
func watchMemory() (stop func() float64) {
	ended, peak := make(chan struct{}), make(chan float64)
	debug.FreeOSMemory() // what was done before is not to make room for it
	before := anonymousMB()
	go func() {
		most := before
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			most = max(most, anonymousMB())
			select {
			case <-ended:
				peak <- most - before
				return
			case <-tick.C:
			}
		}
	}()
	return func() float64 { close(ended); return <-peak }
}

// anonymousMB is the memory of this process that is not a mapped file; 0 where
// the system does not tell.
func anonymousMB() float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "RssAnon:")
		if !ok {
			continue
		}
		kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
		return kb * 1024 / 1e6
	}
	return 0
}

// madeUp is a catalog of one table with many files, made as they are read.
type madeUp struct{ files int }

func (m madeUp) CatalogVersion(context.Context) (meta.Semver, error) { return meta.FirstVersion, nil }
func (m madeUp) History(context.Context, int) ([]meta.Change, error) { return nil, nil }
func (m madeUp) Nodes(context.Context) ([]meta.Node, error)          { return nil, nil }
func (m madeUp) Ring(context.Context) (meta.Ring, error)             { return meta.Ring{}, nil }
func (m madeUp) Tables(context.Context) ([]meta.Table, error)        { return []meta.Table{m.table()}, nil }

func (m madeUp) table() meta.Table {
	return meta.Table{Name: catalogTable, UID: "bench", Created: time.Unix(1_700_000_000, 0).UTC(), Schemas: []meta.Schema{{IDColumn: "id", TimeColumn: "timestamp", Records: true,
		Columns: []meta.Column{{Name: "id", Type: meta.Type{Kind: meta.KindVarchar}}, {Name: "timestamp", Type: meta.Type{Kind: "TIMESTAMP WITH TIME ZONE"}}, {Name: "n", Type: meta.Type{Kind: meta.KindBigInt}}}}}}
}

func (m madeUp) ReadImage(_ context.Context, _ string, f func(meta.Image) error) error {
	return f(meta.Image{Table: m.table(), Version: 1, Count: int64(m.files), Files: func(yield func([]meta.File, error) bool) {
		for at := 0; at < m.files; {
			var page []meta.File
			for ; len(page) < meta.PageMax && at < m.files; at++ {
				page = append(page, madeUpFile(at))
			}
			if !yield(page, nil) {
				return
			}
		}
	}})
}

func madeUpFile(n int) meta.File {
	id := "id-" + strconv.Itoa(n%catalogIDs)
	day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n%catalogDays)
	text := day.Format(time.DateOnly)
	return meta.File{Path: meta.ObjectPath(catalogTable, meta.EncodeID(id), text, int64(1_700_000_000_000_000_000+n)), ID: id, HasID: true, Day: text,
		Rows: 1_000, Bytes: 30_000, MinTime: day, MaxTime: day.Add(time.Hour), Unit: "unit-" + strconv.Itoa(n/100),
		Ranges: meta.NewRanges([]meta.Range{{Column: 2, Min: strconv.Itoa(n), Max: strconv.Itoa(n + 1_000)}})}
}
