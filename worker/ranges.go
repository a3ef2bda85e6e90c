package worker

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"skein/meta"
)

// ranges are those of a file that was just written. Without them a file is as
// good, only never pruned by its columns.
func (w *Worker) ranges(r io.ReaderAt, f *meta.File, s meta.Schema) meta.Ranges {
	ranges, err := readRanges(r, f, s)
	if err != nil {
		w.log.Warn("the ranges of a file's columns are not kept", "file", f.Path, "error", err)
	}
	return ranges
}

// readRanges takes the ranges of a file's columns from the statistics in its
// Parquet footer. The file has the columns of s and was written by DuckDB or
// by writeRecords: both leave out the bounds of a column with a NaN, or hold
// none.
func readRanges(r io.ReaderAt, f *meta.File, s meta.Schema) (meta.Ranges, error) {
	p, err := file.NewParquetReader(io.NewSectionReader(r, 0, f.Bytes))
	if err != nil {
		return "", err
	}
	defer p.Close()
	return rangesOf(p.MetaData(), f, s), nil
}

func rangesOf(m *metadata.FileMetaData, f *meta.File, s meta.Schema) meta.Ranges {
	var ranges []meta.Range
	for leaf := range m.Schema.NumColumns() {
		d := m.Schema.Column(leaf)
		path := d.ColumnPath()
		i := s.Column(path[0])
		if len(path) != 1 || i < 0 || f.HasID && i == s.Column(s.IDColumn) && s.Columns[i].Type.Kind == meta.KindVarchar {
			continue // part of a nested column, or the id, which the entry tells anyway
		}
		if c, ok := columnRange(m, leaf, f.Rows, boundReader(s.Columns[i].Type.Kind, d)); ok {
			c.Column = i
			ranges = append(ranges, c)
		}
	}
	slices.SortFunc(ranges, func(a, b meta.Range) int { return cmp.Compare(a.Column, b.Column) })
	return meta.NewRanges(ranges)
}

// columnRange joins the statistics of the column's chunks; ok is false where
// they tell nothing.
func columnRange(m *metadata.FileMetaData, leaf int, rows int64, read func([]byte) bound) (r meta.Range, ok bool) {
	var least, greatest bound
	bounded := true
	for _, group := range m.RowGroups {
		chunk := group.Columns[leaf].MetaData
		if chunk == nil || chunk.Statistics == nil || chunk.Statistics.NullCount == nil {
			return r, false
		}
		stats := chunk.Statistics
		r.Nulls += *stats.NullCount
		if *stats.NullCount == group.NumRows {
			continue
		}
		if !exact(stats.IsMinValueExact, stats.MinValue) || !exact(stats.IsMaxValueExact, stats.MaxValue) || stats.NanCount != nil && *stats.NanCount > 0 {
			bounded = false
			continue
		}
		lo, hi := read(stats.MinValue), read(stats.MaxValue)
		if lo == nil || hi == nil {
			bounded = false
			continue
		}
		if least == nil || lo.compare(least) < 0 {
			least = lo
		}
		if greatest == nil || hi.compare(greatest) > 0 {
			greatest = hi
		}
	}
	if bounded && least != nil {
		r.Min, r.Max = least.texts(greatest)
	}
	return r, r.Nulls <= rows && (r.Min != "" || r.Max != "" || r.Nulls == 0 || r.Nulls == rows)
}

// exact tells that the value is there and was not cut. Writers that cut none
// do not say so.
func exact(flag *bool, value []byte) bool { return value != nil && (flag == nil || *flag) }

// bound is a least or greatest value: of a kind that compares with its like.
type bound interface {
	compare(bound) int
	// texts are those of meta.Range, for the bounds from this to greatest.
	texts(greatest bound) (lower, upper string)
}

// boundReader returns what reads the statistics of a column of the type. It
// returns nil for what it does not understand.
func boundReader(kind string, column *schema.Column) func([]byte) bound {
	_, scale, isDecimal := decimalOf(kind)
	switch {
	case kind == meta.KindVarchar:
		return func(b []byte) bound { return textBound(b) }
	case kind == meta.KindFloat || kind == meta.KindDouble:
		return readFloat
	case integerBits[kind] > 0, kind == meta.KindBoolean, kind == "DATE", timeKinds[kind] != "" && sameUnit(kind, column):
		return func(b []byte) bound { return readInteger(b, !strings.HasPrefix(kind, "U"), 0) }
	case isDecimal && sameScale(scale, column):
		if t := column.PhysicalType(); t == parquet.Types.Int32 || t == parquet.Types.Int64 {
			return func(b []byte) bound { return readInteger(b, true, scale) }
		}
		return func(b []byte) bound { return readDecimal(b, scale) }
	}
	return func([]byte) bound { return nil }
}

// sameUnit tells whether a column counts what meta.Range says for its kind.
func sameUnit(kind string, column *schema.Column) bool {
	t, ok := column.LogicalType().(interface{ TimeUnit() schema.TimeUnitType })
	if timeKinds[kind] == "ns" {
		return ok && t.TimeUnit() == schema.TimeUnitNanos
	}
	return ok && t.TimeUnit() == schema.TimeUnitMicros
}

func sameScale(scale int, column *schema.Column) bool {
	t, ok := column.LogicalType().(interface{ Scale() int32 })
	return ok && int(t.Scale()) == scale
}

// number is an integer, or a decimal without its point.
type number struct {
	*big.Int
	scale int
}

func (n number) compare(other bound) int {
	m, _ := other.(number)
	return n.Cmp(m.Int)
}

func (n number) texts(greatest bound) (lower, upper string) {
	m, _ := greatest.(number)
	return n.text(), m.text()
}

func (n number) text() string {
	digits := new(big.Int).Abs(n.Int).String()
	if n.scale > 0 {
		digits = strings.Repeat("0", max(0, n.scale+1-len(digits))) + digits
		digits = digits[:len(digits)-n.scale] + "." + digits[len(digits)-n.scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// readInteger reads what Parquet keeps as BOOLEAN, INT32 or INT64. Statistics
// of narrower integers are INT32 too.
func readInteger(b []byte, signed bool, scale int) bound {
	var u uint64
	switch len(b) {
	case 1:
		u = uint64(b[0])
	case 4:
		if u = uint64(binary.LittleEndian.Uint32(b)); signed {
			u = uint64(int64(int32(u)))
		}
	case 8:
		u = binary.LittleEndian.Uint64(b)
	default:
		return nil
	}
	if signed {
		return number{big.NewInt(int64(u)), scale}
	}
	return number{new(big.Int).SetUint64(u), scale}
}

// readDecimal reads what Parquet keeps as bytes, from the highest on.
func readDecimal(b []byte, scale int) bound {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return number{n, scale}
}

type floatBound float64

func readFloat(b []byte) bound {
	var f float64
	switch len(b) {
	case 4:
		f = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case 8:
		f = math.Float64frombits(binary.LittleEndian.Uint64(b))
	default:
		return nil
	}
	if math.IsNaN(f) {
		return nil
	}
	return floatBound(f)
}

func (f floatBound) compare(other bound) int {
	g, _ := other.(floatBound)
	return cmp.Compare(f, g)
}

func (f floatBound) texts(greatest bound) (lower, upper string) {
	g, _ := greatest.(floatBound)
	return strconv.FormatFloat(float64(f), 'g', -1, 64), strconv.FormatFloat(float64(g), 'g', -1, 64)
}

type textBound []byte

func (t textBound) compare(other bound) int {
	u, _ := other.(textBound)
	return bytes.Compare(t, u)
}

func (t textBound) texts(greatest bound) (lower, upper string) {
	u, _ := greatest.(textBound)
	return meta.TextBounds(string(t), string(u))
}
