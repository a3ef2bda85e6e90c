package check

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"skein/meta"
	"skein/meta/rebuild"
)

// judge compares an entry of a table's index with the object and its footer.
// The kind is empty if nothing is wrong.
func judge(t *meta.Table, f meta.File, o Object, foot *Footer) (Kind, string) {
	path := pathFault(t.Name, f)
	if path == "" && foot.Path != "" && foot.Path != f.Path {
		return Damaged, fmt.Sprintf("it is the file that was written as %s", foot.Path)
	}
	if o.Size != f.Bytes {
		return WrongSize, fmt.Sprintf("it has %d bytes and %d rows, its entry says %d bytes and %d rows", o.Size, foot.Rows, f.Bytes, f.Rows)
	}
	if foot.Rows != f.Rows {
		return WrongRows, fmt.Sprintf("it has %d rows, its entry says %d", foot.Rows, f.Rows)
	}
	if why := schemaFault(t, f, foot); why != "" {
		return WrongSchema, why
	}
	why := boundsFault(t, f, foot)
	switch {
	case path != "" && (why != "" || foot.Path == f.Path):
		return WrongBounds, join2(path, why)
	case path != "":
		return WrongPath, path
	case why != "":
		return WrongBounds, why
	}
	return "", ""
}

func join2(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

// pathFault tells why an entry's path is not of its table, id and day.
func pathFault(table string, f meta.File) string {
	p, ok := rebuild.ParsePath(f.Path)
	switch {
	case !ok:
		return "its path is not TABLE/ID/YYYY-MM-DD/NUMBER.parquet"
	case p.Table != table:
		return fmt.Sprintf("its path is of table %s", p.Table)
	case p.Day != f.Day:
		return fmt.Sprintf("its path is of day %s, its entry says %s", p.Day, f.Day)
	case f.HasID && p.Segment != meta.EncodeID(f.ID):
		return fmt.Sprintf("its path is of id %s, its entry says %s", p.Segment, meta.EncodeID(f.ID))
	}
	return ""
}

// schemaOf is the schema that a file was written with; ok is false if the
// table does not have that version.
func schemaOf(t *meta.Table, f meta.File) (s meta.Schema, ok bool) {
	if f.SchemaVersion < 0 || f.SchemaVersion >= len(t.Schemas) {
		return t.Schema(), false
	}
	return t.Schemas[f.SchemaVersion], true
}

func schemaFault(t *meta.Table, f meta.File, foot *Footer) string {
	s, ok := schemaOf(t, f)
	if !ok {
		return fmt.Sprintf("its entry says schema version %d, the table has 0 to %d", f.SchemaVersion, t.SchemaVersion())
	}
	if why := columnsFault(s, foot.Columns); why != "" {
		return fmt.Sprintf("it is not of schema version %d: %s", f.SchemaVersion, why)
	}
	return ""
}

// columnsFault tells how a file's columns differ from a schema's.
func columnsFault(s meta.Schema, cols []Column) string {
	for _, c := range s.Columns {
		i := slices.IndexFunc(cols, func(f Column) bool { return meta.FoldName(f.Name) == meta.FoldName(c.Name) })
		if i < 0 {
			return fmt.Sprintf("it has no column %q", c.Name)
		}
		want := plainKind(c.Type)
		if want != "" && cols[i].Kind != "" && want != cols[i].Kind {
			return fmt.Sprintf("column %q is %s, not %s", c.Name, cols[i].Kind, want)
		}
	}
	for _, c := range cols {
		if s.Column(c.Name) < 0 {
			return fmt.Sprintf("it has a column %q", c.Name)
		}
	}
	return ""
}

// plainKind is a column's type as Column.Kind tells it; empty for types that a
// footer may tell in other words.
func plainKind(t meta.Type) string {
	switch kind := strings.ReplaceAll(t.Kind, " ", ""); kind {
	case meta.KindStruct, meta.KindList, meta.KindBoolean, "TINYINT", "SMALLINT", "INTEGER", meta.KindBigInt, "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
		meta.KindFloat, meta.KindDouble, meta.KindVarchar, "DATE", "TIMESTAMP", "TIMESTAMP_NS":
		return kind
	case meta.KindJSON:
		return meta.KindVarchar
	case "TIMESTAMPWITHTIMEZONE", "TIMESTAMPTZ":
		return "TIMESTAMP WITH TIME ZONE"
	default:
		if strings.HasPrefix(kind, "DECIMAL(") {
			return kind
		}
	}
	return ""
}

// boundsFault tells which rows of a file its entry leaves out: queries would
// not find them.
func boundsFault(t *meta.Table, f meta.File, foot *Footer) string {
	if f.HasID && foot.IDKnown && foot.ID != f.ID {
		if foot.ID == "" {
			return fmt.Sprintf("it has rows of several ids, its entry says %.80q alone", f.ID)
		}
		return fmt.Sprintf("its rows have the id %.80q, its entry says %.80q", foot.ID, f.ID)
	}
	if foot.TimesKnown {
		if !foot.MinTime.IsZero() && (dayOf(foot.MinTime) != f.Day || dayOf(foot.MaxTime) != f.Day) {
			return fmt.Sprintf("its rows are of %s to %s, its entry says %s", dayOf(foot.MinTime), dayOf(foot.MaxTime), f.Day)
		}
		if !foot.MinTime.Equal(f.MinTime) || !foot.MaxTime.Equal(f.MaxTime) || foot.NullTimes != f.NullTimes {
			return fmt.Sprintf("its times are %s, its entry says %s", timesText(foot.MinTime, foot.MaxTime, foot.NullTimes), timesText(f.MinTime, f.MaxTime, f.NullTimes))
		}
	}
	if f.Ranges == foot.Ranges {
		return ""
	}
	s, _ := schemaOf(t, f)
	return rangesFault(s, f.Ranges, foot.Ranges)
}

func dayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

func timesText(from, to time.Time, nulls bool) string {
	text := meta.FormatTime(from) + " to " + meta.FormatTime(to)
	if from.IsZero() && to.IsZero() {
		text = "none"
	}
	if nulls {
		text += " and NULL"
	}
	return text
}

// rangesFault tells which range of the index does not hold all values that the
// file's own has.
func rangesFault(s meta.Schema, index, file meta.Ranges) string {
	for c := range index.All() {
		if c.Column < 0 || c.Column >= len(s.Columns) {
			return fmt.Sprintf("its entry has a range of column %d, the schema has %d columns", c.Column, len(s.Columns))
		}
		name, kind := s.Columns[c.Column].Name, s.Columns[c.Column].Type.Kind
		own, ok := file.Of(c.Column)
		switch {
		case !ok:
			return fmt.Sprintf("its entry has a range of column %q, which the file does not tell", name)
		case own.Nulls != c.Nulls:
			return fmt.Sprintf("column %q has %d NULLs, its entry says %d", name, own.Nulls, c.Nulls)
		case !atMost(kind, c.Min, own.Min):
			return fmt.Sprintf("column %q begins at %.40q, its entry says %.40q", name, own.Min, c.Min)
		case !atLeast(kind, c.Max, own.Max):
			return fmt.Sprintf("column %q ends at %.40q, its entry says %.40q", name, own.Max, c.Max)
		}
	}
	return ""
}

// atMost tells whether a lower bound is one of values from own on; an empty
// bound always is.
func atMost(kind, bound, own string) bool {
	if bound == "" || bound == own {
		return true
	}
	order, ok := compareBounds(kind, bound, own)
	return ok && order <= 0
}

func atLeast(kind, bound, own string) bool {
	if bound == "" || bound == own {
		return true
	}
	if own == "" && kind == meta.KindVarchar {
		return false // no bound that is short enough: longer texts are there
	}
	order, ok := compareBounds(kind, bound, own)
	return ok && order >= 0
}

func compareBounds(kind, a, b string) (order int, ok bool) {
	if kind == meta.KindVarchar {
		return strings.Compare(a, b), true
	}
	x, okX := new(big.Float).SetPrec(256).SetString(a)
	y, okY := new(big.Float).SetPrec(256).SetString(b)
	if !okX || !okY {
		return 0, false
	}
	return x.Cmp(y), true
}
