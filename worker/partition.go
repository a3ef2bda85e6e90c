package worker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

const (
	// IDBucketsProperty is the table property that tells over how many files
	// of a day the ids of an ingest are spread by hash.
	IDBucketsProperty = "id_buckets"
	IDBucketsMax      = 1_000

	distinctIDsMax = 256 // beyond which ids are bucketed without being told
	defaultBuckets = 16
)

// partition says how rows of a table are spread over files.
type partition struct {
	id, time string // columns of a relation called t; empty for none
	timeName string
	idKind   string
	timeKind string
	buckets  int // 0: one file for each id
	arrived  string
	days     map[string]bool // seen so far
	ids      map[string]bool // likewise, while there are no buckets
}

// timeKinds are the types that a time column may have, and what they count.
var timeKinds = map[string]string{
	"DATE": "us", "TIMESTAMP": "us", "TIMESTAMP WITH TIME ZONE": "us", "TIMESTAMPTZ": "us", "TIMESTAMP_NS": "ns",
}

func newPartition(table meta.Table, arrived string) (partition, error) {
	s := table.Schema()
	p := partition{arrived: arrived, days: map[string]bool{}, ids: map[string]bool{}}
	if i := s.Column(s.IDColumn); s.IDColumn != "" && i >= 0 {
		p.id, p.idKind = "t."+meta.QuoteIdent(s.Columns[i].Name), s.Columns[i].Type.Kind
	}
	if i := s.Column(s.TimeColumn); s.TimeColumn != "" && i >= 0 {
		p.time, p.timeKind, p.timeName = "t."+meta.QuoteIdent(s.Columns[i].Name), s.Columns[i].Type.Kind, s.TimeColumn
		if timeKinds[p.timeKind] == "" {
			return p, fault.Newf(fault.InvalidArgument, "time column %s is %s; it must be a DATE or TIMESTAMP", s.TimeColumn, p.timeKind)
		}
	}
	if text, ok := table.Config.Properties[IDBucketsProperty]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > IDBucketsMax {
			return p, fault.Newf(fault.InvalidArgument, "table property %s is %q; it must be a number from 1 to %d", IDBucketsProperty, text, IDBucketsMax)
		}
		p.buckets = n
	}
	return p, nil
}

func (p *partition) any() bool { return p.id != "" || p.time != "" }

// dayExpr is the day of a row as text.
func (p *partition) dayExpr() string {
	if p.time == "" {
		return "'" + p.arrived + "'"
	}
	return fmt.Sprintf("coalesce(strftime(CAST(%s AS TIMESTAMP), '%%Y-%%m-%%d'), '%s')", p.time, p.arrived)
}

// segmentExpr is what tells the rows of one day's files apart: an id, a
// bucket's number, or NULL for rows without an id.
func (p *partition) segmentExpr() string {
	switch {
	case p.id == "":
		return "CAST(NULL AS VARCHAR)"
	case p.buckets > 0:
		return fmt.Sprintf("CASE WHEN %s IS NOT NULL THEN CAST(hash(%s) %% %d AS VARCHAR) END", p.id, p.id, p.buckets)
	}
	return fmt.Sprintf("CAST(%s AS VARCHAR)", p.id)
}

// exactIDs tells whether an id's text equals another's only if the ids do.
func (p *partition) exactIDs() bool {
	return p.idKind == meta.KindVarchar || integerBits[p.idKind] > 0
}

// segment is the path segment of the rows of one segment value, and the id
// that all of them have, if it is known to be one.
func (p *partition) segment(value string) (segment, id string, hasID bool) {
	switch {
	case value == "":
		return meta.NoID, "", false
	case p.buckets > 0:
		n, _ := strconv.Atoi(value)
		return fmt.Sprintf("bucket-%03d", n), "", false
	case !p.exactIDs() || meta.ValidateID(value) != nil:
		return meta.EncodeID(value), "", false
	}
	return meta.EncodeID(value), value, true
}

// order is how rows of a file are sorted.
func (p *partition) order() string {
	var by []string
	for _, c := range []string{p.id, p.time} {
		if c != "" {
			by = append(by, c)
		}
	}
	return strings.Join(by, ", ")
}

// writeParts sorts the stage and writes one file for each part of it.
func (in *ingest) writeParts(ctx context.Context, selected string) error {
	p := &in.parts
	if err := in.chooseBuckets(ctx, selected); err != nil {
		return err
	}
	if err := in.checkTimes(ctx, selected); err != nil {
		return err
	}
	if err := in.keyStage(ctx, selected); err != nil {
		return err
	}
	parts, err := in.conn.Strings(ctx, "SELECT * FROM parts ORDER BY part")
	if err == nil {
		err = p.countDays(parts)
	}
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := in.copy(ctx, "SELECT "+in.names+" FROM sorted WHERE "+in.key+" = "+part[0], in.partFile(part)); err != nil {
			return err
		}
	}
	_, err = in.conn.Exec(ctx, "DROP TABLE parts")
	if err == nil {
		_, err = in.conn.Exec(ctx, "DROP TABLE sorted")
	}
	return err
}

// keyStage makes the table parts, one row for each file, and the table sorted:
// the stage's rows with the number of their part, in the order of the files.
func (in *ingest) keyStage(ctx context.Context, selected string) error {
	p := &in.parts
	minTime, maxTime, nulls := "CAST(NULL AS BIGINT)", "CAST(NULL AS BIGINT)", "false"
	if p.time != "" {
		unit := timeKinds[p.timeKind]
		minTime, maxTime = fmt.Sprintf("epoch_%s(min(%s))", unit, p.time), fmt.Sprintf("epoch_%s(max(%s))", unit, p.time)
		nulls = fmt.Sprintf("bool_or(%s IS NULL)", p.time)
	}
	segment, day := "coalesce("+p.segmentExpr()+", '')", p.dayExpr()
	_, err := in.conn.Exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE parts AS SELECT row_number() OVER (ORDER BY segment, day) AS part, * FROM (
		SELECT %s AS segment, %s AS day, count(*) AS n, %s AS first, %s AS last, %s AS nulls FROM (%s) t GROUP BY ALL)`,
		segment, day, minTime, maxTime, nulls, selected))
	if err != nil {
		return err
	}
	_, err = in.conn.Exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE sorted AS SELECT p.part AS %s, t.* FROM (%s) t JOIN parts p ON p.segment = %s AND p.day = %s ORDER BY p.part, %s`,
		in.key, selected, segment, day, p.order()))
	return err
}

// partFile is the catalog's entry of a part: number, segment, day, rows, first
// and last time, whether a time is missing.
func (in *ingest) partFile(part []string) *meta.File {
	p := &in.parts
	segment, id, hasID := p.segment(part[1])
	f := &meta.File{Path: in.path(segment, part[2]), ID: id, HasID: hasID, Day: part[2], NullTimes: part[6] == "true"}
	f.Rows, _ = strconv.ParseInt(part[3], 10, 64)
	f.MinTime, f.MaxTime = p.parseTime(part[4]), p.parseTime(part[5])
	return f
}

func (p *partition) parseTime(text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("BUG: DuckDB's epoch is no integer: " + text)
	}
	if timeKinds[p.timeKind] == "ns" {
		return time.Unix(0, n).UTC()
	}
	return timeOf(n)
}

// chooseBuckets spreads ids over buckets once there are too many of them.
func (in *ingest) chooseBuckets(ctx context.Context, selected string) error {
	p := &in.parts
	if p.id == "" || p.buckets > 0 {
		return nil
	}
	ids, err := in.conn.Strings(ctx, fmt.Sprintf("SELECT DISTINCT CAST(%s AS VARCHAR) FROM (%s) t LIMIT %d", p.id, selected, distinctIDsMax+1))
	if err != nil {
		return err
	}
	for _, id := range ids {
		p.ids[id[0]] = true
	}
	if len(p.ids) > distinctIDsMax {
		p.buckets = defaultBuckets
	}
	return nil
}

// checkTimes refuses times that no day or file entry can tell.
func (in *ingest) checkTimes(ctx context.Context, selected string) error {
	p := &in.parts
	if p.time == "" {
		return nil
	}
	bad, err := in.conn.Strings(ctx, fmt.Sprintf("SELECT CAST(%[1]s AS VARCHAR) FROM (%[2]s) t WHERE NOT isfinite(%[1]s) OR year(%[1]s) NOT BETWEEN 1 AND 9999 LIMIT 1", p.time, selected))
	if err == nil && len(bad) > 0 {
		err = fault.Newf(fault.InvalidArgument, "time column %s has the value %s; it must be in the years 1 to 9999, or NULL", p.timeName, bad[0][0])
	}
	return err
}

// countDays refuses rows of too many days.
func (p *partition) countDays(parts [][]string) error {
	for _, part := range parts {
		p.days[part[2]] = true
	}
	if len(p.days) > IngestDaysMax {
		days := make([]string, 0, len(p.days))
		for d := range p.days {
			days = append(days, d)
		}
		return fault.Newf(fault.InvalidArgument, "time column %s has more than %d days, from %s to %s, and each makes a file; make the table with another time column or none, or load fewer days at once",
			p.timeName, IngestDaysMax, slices.Min(days), slices.Max(days))
	}
	return nil
}
