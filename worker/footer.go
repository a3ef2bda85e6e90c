package worker

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"skein/internal/fault"
	"skein/meta"
)

// Footer is what a data file tells of itself, without a look at its rows.
type Footer struct {
	Rows    int64
	Columns []FooterColumn // top level, in the order of the file
	Ranges  meta.Ranges    // as the index should have them

	TimesKnown       bool // of the table's time column; false also if there is none
	MinTime, MaxTime time.Time
	NullTimes        bool

	IDKnown bool   // what follows is known of the table's id column
	ID      string // that all rows have; empty if they have several, or a row has none

	Note *Note // nil if the file has none
}

// FooterColumn is a column of a data file.
type FooterColumn struct {
	Name string
	Kind string // DuckDB's type of a plain column, STRUCT, LIST or MAP; empty where only DuckDB can tell
}

// ReadFooter reads the footer of a data file of so many bytes: f is its entry
// in the index and s the schema that it was written with. What is no Parquet
// file is FailedPrecondition; errors of r are returned as they are.
func ReadFooter(r io.ReaderAt, size int64, f meta.File, s meta.Schema) (footer Footer, err error) {
	at := &sourceReader{r: r}
	defer func() {
		p := recover() // a damaged footer
		switch {
		case p == nil && err == nil:
		case at.err != nil:
			err = at.err
		case p != nil:
			err = fault.Newf(fault.FailedPrecondition, "it is no Parquet file: %v", p)
		default:
			err = fault.Newf(fault.FailedPrecondition, "it is no Parquet file: %w", err)
		}
	}()
	p, err := file.NewParquetReader(io.NewSectionReader(at, 0, size))
	if err != nil {
		return Footer{}, err
	}
	defer p.Close()
	m := p.MetaData()
	footer = Footer{Rows: m.NumRows, Ranges: rangesOf(m, &f, s)}
	footer.Columns, err = footerColumns(m)
	footer.times(m, s)
	footer.ids(m, s)
	if text := m.KeyValueMetadata().FindValue(noteKey); text != nil {
		n := &Note{}
		if json.Unmarshal([]byte(*text), n) == nil {
			footer.Note = n
		}
	}
	return footer, err
}

func footerColumns(m *metadata.FileMetaData) ([]FooterColumn, error) {
	schema, err := pqarrow.FromParquet(m.Schema, nil, nil)
	if err != nil {
		return nil, err
	}
	cols := make([]FooterColumn, schema.NumFields())
	for i, f := range schema.Fields() {
		cols[i] = FooterColumn{Name: f.Name}
		kind, err := loadedType(storageType(f.Type))
		switch {
		case err != nil:
		case strings.HasSuffix(kind, "]"):
			cols[i].Kind = meta.KindList
		case strings.HasPrefix(kind, "STRUCT("):
			cols[i].Kind = meta.KindStruct
		case strings.HasPrefix(kind, "MAP("):
			cols[i].Kind = "MAP"
		case plainKinds[kind] || decimalKind.MatchString(kind):
			cols[i].Kind = kind
		}
	}
	return cols, nil
}

// plainKinds are types that DuckDB reads from Parquet just as they are written
// there.
var plainKinds = map[string]bool{
	"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true,
	"FLOAT": true, "DOUBLE": true, "VARCHAR": true, "DATE": true, "TIMESTAMP": true, "TIMESTAMP WITH TIME ZONE": true, "TIMESTAMP_NS": true,
}

// leafOf is the place of a column that is not nested, or -1.
func leafOf(m *metadata.FileMetaData, name string) int {
	for leaf := range m.Schema.NumColumns() {
		path := m.Schema.Column(leaf).ColumnPath()
		if len(path) == 1 && meta.FoldName(path[0]) == meta.FoldName(name) {
			return leaf
		}
	}
	return -1
}

func (f *Footer) times(m *metadata.FileMetaData, s meta.Schema) {
	i, leaf := s.Column(s.TimeColumn), leafOf(m, s.TimeColumn)
	if s.TimeColumn == "" || i < 0 || leaf < 0 {
		return
	}
	kind := s.Columns[i].Type.Kind
	r, ok := columnRange(m, leaf, f.Rows, boundReader(kind, m.Schema.Column(leaf)))
	if !ok {
		return
	}
	f.NullTimes = r.Nulls > 0
	if r.Nulls == f.Rows {
		f.TimesKnown = true
		return
	}
	least, err := strconv.ParseInt(r.Min, 10, 64)
	greatest, err2 := strconv.ParseInt(r.Max, 10, 64)
	if err != nil || err2 != nil {
		return
	}
	f.TimesKnown, f.MinTime, f.MaxTime = true, instant(kind, least), instant(kind, greatest)
}

// instant is a bound of a column of times.
func instant(kind string, n int64) time.Time {
	switch {
	case kind == "DATE":
		return time.Unix(n*secondsPerDay, 0).UTC()
	case timeKinds[kind] == "ns":
		return time.Unix(0, n).UTC()
	}
	return timeOf(n)
}

const secondsPerDay = 24 * 60 * 60

func (f *Footer) ids(m *metadata.FileMetaData, s meta.Schema) {
	i, leaf := s.Column(s.IDColumn), leafOf(m, s.IDColumn)
	if s.IDColumn == "" || i < 0 || leaf < 0 {
		return
	}
	kind := s.Columns[i].Type.Kind
	read := boundReader(kind, m.Schema.Column(leaf))
	if kind == meta.KindVarchar {
		read = func(b []byte) bound { return wholeText(b) }
	} else if integerBits[kind] == 0 {
		return
	}
	r, ok := columnRange(m, leaf, f.Rows, read)
	if !ok || r.Min == "" && r.Max == "" && r.Nulls != f.Rows {
		return
	}
	f.IDKnown = true
	if r.Nulls == 0 && r.Min == r.Max {
		f.ID = r.Min
	}
}

// wholeText is a text whose bounds are not cut.
type wholeText []byte

func (t wholeText) compare(other bound) int {
	u, _ := other.(wholeText)
	return bytes.Compare(t, u)
}

func (t wholeText) texts(greatest bound) (lower, upper string) {
	u, _ := greatest.(wholeText)
	return string(t), string(u)
}
