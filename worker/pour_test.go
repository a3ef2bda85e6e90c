//go:build duckdb_arrow

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/protobuf/proto"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

const (
	pourFiles = 12
	pourRows  = 150_000 // of a file
)

// pourBench is a node whose objects are files of a directory.
type pourBench struct {
	runner *Runner
	dir    string
	pinned atomic.Int64
	opens  atomic.Int64
	fail   func(key string) error
	f      *nodev1.Fragment
}

func newPourBench(t *testing.T, sql string) *pourBench {
	t.Helper()
	p := &pourBench{dir: t.TempDir()}
	db, err := duck.Open(duck.Options{AllowedDirs: []string{p.dir}, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	p.runner = NewRunner(db, &Splits{NodeID: "n1", Object: p.object})
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	old := &nodev1.FileGroup{Expressions: []string{"r", "NULL::VARCHAR"}}
	now := &nodev1.FileGroup{Expressions: []string{"r", "w"}}
	for i := range pourFiles {
		name := fmt.Sprintf("%d.parquet", i)
		path := filepath.Join(p.dir, name)
		_, err := conn.Exec(t.Context(), fmt.Sprintf("COPY (SELECT range + %d AS r, 'word ' || hash(range) %% 1000003 AS w FROM range(%d)) TO %s (FORMAT parquet)", i*pourRows, pourRows, duck.Literal(path)))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		g := now
		if i < 3 {
			g = old
		}
		g.Splits = append(g.Splits, &nodev1.Split{Path: name, Size: info.Size(), Rows: pourRows})
	}
	p.f = &nodev1.Fragment{QueryId: "q", Apart: true, Sql: sql, Tables: []*nodev1.TableScan{{View: "t", Groups: []*nodev1.FileGroup{old, now},
		Columns: []*nodev1.Column{{Name: "r", Type: "BIGINT"}, {Name: "w", Type: "VARCHAR"}}}}}
	t.Cleanup(func() {
		if n := p.pinned.Load(); n != 0 {
			t.Errorf("%d files are still pinned", n)
		}
	})
	return p
}

func (p *pourBench) object(ctx context.Context, key string, _ int64) (string, func(), error) {
	p.opens.Add(1)
	if p.fail != nil {
		if err := p.fail(key); err != nil {
			return "", nil, err
		}
	}
	p.pinned.Add(1)
	return filepath.Join(p.dir, key), func() { p.pinned.Add(-1) }, nil
}

func drainTexts(ctx context.Context, r batch.Reader) (rows []string, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			slices.Sort(rows)
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for i := range int(b.NumRows()) {
			rows = append(rows, b.Column(0).ValueStr(i)+" "+b.Column(1).ValueStr(i))
		}
	}
}

// TestPouredFragment compares what comes in portions with what comes at once.
func TestPouredFragment(t *testing.T) {
	p := newPourBench(t, "SELECT w || '!' AS v, r FROM t WHERE r % 3 = 1;")
	poured, err := p.runner.Run(t.Context(), p.f)
	if err != nil {
		t.Fatal(err)
	}
	defer poured.Close()
	if _, ok := poured.(*pouring); !ok {
		t.Fatalf("it is a %T", poured)
	}
	got, err := drainTexts(t.Context(), poured)
	if err != nil {
		t.Fatal(err)
	}
	whole := proto.CloneOf(p.f)
	whole.Apart = false
	r, err := p.runner.Run(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Schema().Equal(poured.Schema()) {
		t.Errorf("schema %s, want %s", poured.Schema(), r.Schema())
	}
	want, err := drainTexts(t.Context(), r)
	if err != nil || !slices.Equal(got, want) || len(want) != pourFiles*pourRows/3 {
		t.Errorf("%v: %d rows, want %d", err, len(got), len(want))
	}
}

// TestPouredFragmentWaits sees to it that a reader that rests holds portions
// back.
func TestPouredFragmentWaits(t *testing.T) {
	p := newPourBench(t, "SELECT repeat(coalesce(w, 'word'), 40) AS v, r FROM t")
	r, err := p.runner.Run(t.Context(), p.f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // enough for all of it
	q := r.(*pouring)
	q.mu.Lock()
	begun := q.next
	q.mu.Unlock()
	if begun == len(q.portions) {
		t.Errorf("all of %d portions have begun", begun)
	}
	rows := int64(0)
	for {
		b, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += b.NumRows()
	}
	if rows < (pourFiles-1)*pourRows {
		t.Errorf("%d rows", rows)
	}
}

// TestPouredFragmentIsBounded lets a statement make much of few rows.
func TestPouredFragmentIsBounded(t *testing.T) {
	p := newPourBench(t, "SELECT repeat('x', 20000) AS v, r FROM t WHERE r % 10 = 0")
	r, err := p.runner.Run(t.Context(), p.f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows := int64(0)
	for {
		b, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rows == 0 {
			time.Sleep(time.Second)
		}
		rows += b.NumRows()
		if n := p.runner.poured.Load(); n > pouredBytesMax+4*16<<20 {
			t.Fatalf("%d bytes wait", n)
		}
	}
	if rows != pourFiles*pourRows/10 {
		t.Errorf("%d rows", rows)
	}
	if n := p.runner.poured.Load(); n != 0 {
		t.Errorf("%d bytes are said to wait", n)
	}
}

// TestPouredFragmentEndsEarly closes, cancels and fails it.
func TestPouredFragmentEndsEarly(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		p := newPourBench(t, "SELECT * FROM t")
		r, err := p.runner.Run(t.Context(), p.f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(t.Context()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		p := newPourBench(t, "SELECT * FROM t")
		ctx, cancel := context.WithCancel(t.Context())
		r, err := p.runner.Run(ctx, p.f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cancel()
		if _, err := drainTexts(context.Background(), r); fault.CodeOf(err) != fault.Canceled {
			t.Errorf("got %v", err)
		}
	})
	t.Run("one bad row", func(t *testing.T) {
		p := newPourBench(t, fmt.Sprintf("SELECT CAST(CASE WHEN r = %d THEN w ELSE '1' END AS INTEGER) AS v, r FROM t", 8*pourRows+77))
		r, err := p.runner.Run(t.Context(), p.f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := drainTexts(t.Context(), r); fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), "Could not convert") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("missing object", func(t *testing.T) {
		p := newPourBench(t, "SELECT * FROM t")
		p.fail = func(key string) error {
			if key == "9.parquet" {
				return fault.Newf(fault.NotFound, "object %s does not exist", key)
			}
			return nil
		}
		r, err := p.runner.Run(t.Context(), p.f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := drainTexts(t.Context(), r); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "9.parquet") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("damaged object", func(t *testing.T) {
		p := newPourBench(t, "SELECT * FROM t")
		path := filepath.Join(p.dir, "7.parquet")
		data, err := os.ReadFile(path)
		if err == nil {
			copy(data[4:], strings.Repeat("\xff", len(data)/2))
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.runner.Run(t.Context(), p.f)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := drainTexts(t.Context(), r); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "7.parquet is damaged") || strings.Contains(err.Error(), p.dir) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unknown column", func(t *testing.T) {
		p := newPourBench(t, "SELECT nosuch FROM t")
		if r, err := p.runner.Run(t.Context(), p.f); fault.CodeOf(err) != fault.InvalidArgument || r != nil {
			t.Errorf("got %v, %v", r, err)
		}
	})
}

// TestPortions divides fragments.
func TestPortions(t *testing.T) {
	fragment := func(groups ...[]int64) *nodev1.Fragment {
		scan := &nodev1.TableScan{View: "t"}
		for i, rows := range groups {
			g := &nodev1.FileGroup{Expressions: []string{fmt.Sprint("e", i)}}
			for j, n := range rows {
				s := &nodev1.Split{Path: fmt.Sprintf("%d.%d", i, j), Rows: max(n, -n)}
				if n < 0 {
					s.Path, s.Hot = fmt.Sprintf("hot%d.%d", i, j), &nodev1.HotSplit{}
				}
				g.Splits = append(g.Splits, s)
			}
			scan.Groups = append(scan.Groups, g)
		}
		return &nodev1.Fragment{Tables: []*nodev1.TableScan{scan}}
	}
	const million = 1_000_000
	for name, c := range map[string]struct {
		groups [][]int64
		want   string
	}{
		"one file":         {[][]int64{{5}}, "[e0 0.0]"},
		"first alone":      {[][]int64{{5, 6, 7}}, "[e0 0.0] [e0 0.1 0.2]"},
		"groups together":  {[][]int64{{5, 6}, {7}}, "[e0 0.0] [e0 0.1; e1 1.0]"},
		"by size":          {[][]int64{{million, 2 * million, 2 * million, 1}, {3 * million}}, "[e0 0.0] [e0 0.1] [e0 0.2 0.3] [e1 1.0]"},
		"unflushed first":  {[][]int64{{5, 6, -7}, {8, -9}}, "[e0 0.0 hot0.2; e1 hot1.1] [e0 0.1; e1 1.0]"},
		"one is too large": {[][]int64{{5, 13 * million}}, ""},
		"much unflushed":   {[][]int64{{5, -7 * million, -7 * million}}, ""},
		"no file":          {nil, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range portions(fragment(c.groups...), 11) {
				var groups []string
				for _, g := range p.Tables[0].Groups {
					text := g.Expressions[0]
					for _, s := range g.Splits {
						text += " " + s.Path
					}
					groups = append(groups, text)
				}
				got = append(got, "["+strings.Join(groups, "; ")+"]")
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
	if w := widthOf(arrow.NewSchema([]arrow.Field{{Type: arrow.PrimitiveTypes.Int64}, {Type: arrow.FixedWidthTypes.Boolean}, {Type: &arrow.Decimal128Type{Precision: 9}}, {Type: arrow.BinaryTypes.String}}, nil)); w != 8+1+16+textWidth {
		t.Errorf("width %d", w)
	}
}
