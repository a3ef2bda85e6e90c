//go:build duckdb_arrow

package corpus_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/bench/answer"
	"skein/internal/duck"
	"skein/internal/slt"
	"skein/internal/slt/corpus"
)

var rewrite = flag.Bool("rewrite", false, "write what DuckDB answers into the files")

// duckDB is a plain DuckDB with the tables.
type duckDB struct{ conn *duck.Conn }

func open(t *testing.T) duckDB {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, sql := range corpus.Setup() {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	return duckDB{c}
}

func (d duckDB) Exec(ctx context.Context, sql string) error {
	_, err := d.conn.Exec(ctx, sql)
	return err
}

func (d duckDB) Query(ctx context.Context, sql string) ([][]any, error) {
	s, err := d.conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var rows [][]any
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, answer.Of(s.Schema(), []arrow.RecordBatch{b}).Rows...)
	}
}

func TestDuckDBAnswersAsWritten(t *testing.T) {
	if *rewrite {
		rewriteFiles(t)
		return
	}
	files, err := corpus.Files()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			count += len(f.Records)
			for _, failure := range slt.Run(t.Context(), open(t), "duckdb", f) {
				t.Error(failure)
			}
		})
	}
	if count < 300 {
		t.Errorf("only %d records", count)
	}
}

func rewriteFiles(t *testing.T) {
	names, err := filepath.Glob("files/*.slt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := slt.Rewrite(t.Context(), open(t), "duckdb", name, string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
