package source

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/duck"
)

// Options of reading.
type Options struct {
	SampleRows int // rows of CSV and JSON that types are guessed from; 200,000 if zero, all if negative
	Threads    int // one for each core if zero
}

// Source is the rows of some files. It implements batch.Reader.
type Source struct {
	*duck.Stream
	RowsTotal int64 // -1 if only reading tells

	db   *duck.DB
	conn *duck.Conn
}

// Open starts to read files. Their columns are united by name; a column that a
// file lacks is NULL there. The caller closes the source.
func Open(ctx context.Context, files []File, o Options) (*Source, error) {
	if o.SampleRows == 0 {
		o.SampleRows = 200_000
	}
	var dirs []string
	for _, f := range files {
		if d := filepath.Dir(f.Path); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	db, err := duck.Open(duck.Options{AllowedDirs: dirs, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	s := &Source{RowsTotal: -1, db: db}
	if err := s.start(ctx, files, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Source) start(ctx context.Context, files []File, o Options) (err error) {
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return err
	}
	if err := s.count(ctx, files); err != nil {
		return err
	}
	s.Stream, err = s.conn.Query(ctx, query(files, o.SampleRows))
	return err
}

// count sets RowsTotal where footers tell it.
func (s *Source) count(ctx context.Context, files []File) error {
	for _, f := range files {
		if f.Format != "parquet" {
			return nil
		}
	}
	rows, err := s.conn.Strings(ctx, "SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata("+list(files, "parquet")+")")
	if err != nil {
		return err
	}
	s.RowsTotal, err = strconv.ParseInt(rows[0][0], 10, 64)
	return err
}

// query reads each format with its own function and unites them.
func query(files []File, sampleRows int) string {
	var parts []string
	for _, format := range Formats {
		if !slices.ContainsFunc(files, func(f File) bool { return f.Format == format }) {
			continue
		}
		options := ", union_by_name=true"
		if format != "parquet" {
			options += fmt.Sprintf(", sample_size=%d", sampleRows)
		}
		parts = append(parts, "SELECT * FROM read_"+format+"("+list(files, format)+options+")")
	}
	return strings.Join(parts, " UNION ALL BY NAME ")
}

// list writes the paths of one format as a SQL list. DuckDB takes paths as
// patterns, so what would be one is escaped.
func list(files []File, format string) string {
	escape := strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]")
	var b strings.Builder
	for _, f := range files {
		if f.Format != format {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(duck.Literal(escape.Replace(f.Path)))
	}
	return "[" + b.String() + "]"
}

// Column returns the column's name as the files write it; an error that lists
// the columns if there is none. Case does not matter unless it has to.
func (s *Source) Column(name string) (string, error) {
	fields := s.Schema().Fields()
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		if i := slices.IndexFunc(fields, func(f arrow.Field) bool { return same(f.Name, name) }); i >= 0 {
			return fields[i].Name, nil
		}
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return "", fmt.Errorf("the files have no column %q; columns are %s", name, strings.Join(names, ", "))
}

// Close implements batch.Reader.
func (s *Source) Close() error {
	if s.Stream != nil {
		s.Stream.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.db.Close()
	return nil
}
