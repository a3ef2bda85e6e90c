package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/oklog/ulid/v2"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
)

// ArrowColumns are the columns of a table that takes Arrow data of that
// schema, with the types that DuckDB reads from the files of an ingest. It
// refuses, as InvalidArgument, types that Parquet would store with loss.
func (w *Worker) ArrowColumns(ctx context.Context, schema *arrow.Schema) ([]meta.Column, error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return w.arrowColumns(ctx, conn, schema)
}

func (w *Worker) arrowColumns(ctx context.Context, conn *duck.Conn, schema *arrow.Schema) ([]meta.Column, error) {
	if err := createStage(ctx, conn, "described", storageSchema(schema)); err != nil {
		return nil, err
	}
	path := w.tempFile()
	defer os.Remove(path)
	if _, err := conn.Exec(ctx, "COPY described TO "+duck.Literal(path)+" (FORMAT parquet)"); err != nil {
		return nil, err
	}
	rows, err := conn.Strings(ctx, "DESCRIBE SELECT * FROM read_parquet("+duck.Literal(path)+")")
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "DROP TABLE described"); err != nil {
		return nil, err
	}
	cols := make([]meta.Column, len(rows))
	for i, row := range rows {
		t, err := ParseType(row[1])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", row[0], err)
		}
		switch f := schema.Field(i); {
		case f.Type.ID() == arrow.NULL:
			t = meta.Type{Kind: meta.KindUnknown}
		case extensionOf(f) == "arrow.json" && t.Kind == meta.KindVarchar:
			t = meta.Type{Kind: meta.KindJSON}
		}
		cols[i] = meta.Column{Name: row[0], Type: t}
	}
	return cols, nil
}

// createStage makes a temporary table that data of a storage schema loads
// into.
func createStage(ctx context.Context, conn *duck.Conn, name string, schema *arrow.Schema) error {
	if err := checkNames(schema.Fields()); err != nil {
		return err
	}
	defs := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		t, err := loadedField(f)
		if err != nil {
			return fmt.Errorf("column %w", err)
		}
		defs[i] = meta.QuoteIdent(f.Name) + " " + t
	}
	_, err := conn.Exec(ctx, "CREATE TEMP TABLE "+name+" ("+strings.Join(defs, ", ")+")")
	return err
}

func (w *Worker) tempFile() string {
	return filepath.Join(w.tempDir(), ulid.Make().String()+".parquet")
}

// IngestSchema tells whether columns of these types can be appended to a table
// without loss, by nil or InvalidArgument. Columns that the table has and cols
// has not become NULL.
func IngestSchema(table meta.Schema, cols []meta.Column) error {
	for _, c := range cols {
		i := table.Column(c.Name)
		if i < 0 {
			return fault.Newf(fault.InvalidArgument, "the table has no column %s; its columns are %s", c.Name, columnNames(table))
		}
		if to := table.Columns[i].Type; !widens(c.Type, to) {
			return fault.Newf(fault.InvalidArgument, "column %s is %s, which the table's %s does not hold without loss; cast it before", c.Name, c.Type.SQL(), to.SQL())
		}
	}
	if table.Records {
		for _, name := range []string{table.IDColumn, table.TimeColumn} {
			if !hasColumn(cols, name) {
				return fault.Newf(fault.InvalidArgument, "a table of the Write API needs the column %s", name)
			}
		}
	}
	return nil
}

func hasColumn(cols []meta.Column, name string) bool {
	s := meta.Schema{Columns: cols}
	return s.Column(name) >= 0
}

func columnNames(s meta.Schema) string {
	const shown = 20
	var names []string
	for i, c := range s.Columns {
		if i == shown {
			names = append(names, "…")
			break
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// checkedCasts are casts that either keep the value or fail.
var checkedCasts = map[string]map[string]bool{
	"DATE":        {"TIMESTAMP": true},
	"TIMESTAMPTZ": {"TIMESTAMP WITH TIME ZONE": true},
}

var (
	integerBits = map[string]int{"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}
	decimalKind = regexp.MustCompile(`^DECIMAL\((\d+),\s*(\d+)\)$`)
)

// widens tells whether a value of type from is kept, or refused when it is
// read, as type to.
func widens(from, to meta.Type) bool {
	if from.SQL() == to.SQL() || from.Kind == meta.KindUnknown || to.Kind == meta.KindJSON || checkedCasts[from.Kind][to.Kind] {
		return true
	}
	fromBits, toBits := integerBits[from.Kind], integerBits[to.Kind]
	fp, fs, fromDecimal := decimalOf(from.Kind)
	tp, ts, toDecimal := decimalOf(to.Kind)
	switch {
	case fromBits > 0 && (toBits > 0 || toDecimal):
		return true // DuckDB refuses what is out of range
	case fromDecimal && toDecimal:
		return ts >= fs && tp-ts >= fp-fs
	case fromBits > 0:
		return to.Kind == meta.KindDouble && fromBits <= 32
	case from.Kind == meta.KindFloat:
		return to.Kind == meta.KindDouble
	case from.Kind == meta.KindList && to.Kind == meta.KindList:
		return widens(elemOf(from), elemOf(to))
	case from.Kind == meta.KindStruct && to.Kind == meta.KindStruct:
		return widensFields(from.Fields, meta.Schema{Columns: to.Fields})
	}
	return false
}

func widensFields(from []meta.Column, to meta.Schema) bool {
	for _, f := range from {
		i := to.Column(f.Name)
		if i < 0 || !widens(f.Type, to.Columns[i].Type) {
			return false
		}
	}
	return true
}

func elemOf(t meta.Type) meta.Type {
	if t.Elem == nil {
		return meta.Type{Kind: meta.KindUnknown}
	}
	return *t.Elem
}

func decimalOf(kind string) (precision, scale int, ok bool) {
	m := decimalKind.FindStringSubmatch(kind)
	if m == nil {
		return 0, 0, false
	}
	precision, _ = strconv.Atoi(m[1])
	scale, _ = strconv.Atoi(m[2])
	return precision, scale, true
}
