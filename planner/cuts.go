package planner

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Tables whose files each hold a narrow range of a key, such as those that
// were loaded in its order, need not be dealt out by its hash: the key's
// values are cut into ranges, and each fragment reads the files of its range.
// The rows are then where equal keys are together, and none was sent.

// cuts are the values at which a key's range is cut: part i has the keys from
// at[i-1] up to but without at[i]. NULLs are in the first part.
type cuts struct {
	columnType string
	at         []value
	inPlace    map[*leaf][]Part  // of the leaves that are read in place
	excess     map[*leaf]float64 // of those: what the largest part reads of a fair share
}

// Part is what one fragment reads of a table of ranges.
type Part struct {
	Inside []File // whose rows are all its own
	Edges  []File // that may also hold rows of others
}

// IsEdge tells whether a file of the part may hold rows of others.
func (p Part) IsEdge(f File) bool {
	return slices.ContainsFunc(p.Edges, func(e File) bool { return e.Path == f.Path })
}

const (
	// cutFilesMin is how many files for each part a table must have: their
	// ends are read by two parts.
	cutFilesMin = 2
	// cutFilesMax is for how many files the parts are worked out.
	cutFilesMax = 20_000
	// cutOverlapMax is how much of a table's files may be read, of all.
	cutOverlapMax = 1.3
	// cutImbalanceMax is how much more than its fair share a part may read.
	cutImbalanceMax = 1.4
)

// cutsOf cuts the range of the columns of a class, so that the parts of the
// largest table that can be cut are alike; nil if none can be.
func (d *divider) cutsOf(b *block, class map[source]bool) *cuts {
	parts := len(d.catalog.Workers)
	var members []source
	for _, l := range b.leaves {
		if s, ok := l.memberOf(class); ok && l.table != nil && !l.fixed {
			members = append(members, s)
		}
	}
	slices.SortStableFunc(members, func(a, b source) int { return cmp.Compare(b.leaf.unreduced(), a.leaf.unreduced()) })
	if parts < 2 {
		return nil
	}
	for _, m := range members {
		c := &cuts{columnType: m.leaf.types[m.name], inPlace: map[*leaf][]Part{}, excess: map[*leaf]float64{}}
		if !c.cut(m, parts) {
			continue
		}
		for _, m := range members {
			if files, excess, ok := c.deal(m); ok {
				c.inPlace[m.leaf], c.excess[m.leaf] = files, excess
			}
		}
		if c.inPlace[m.leaf] != nil {
			return c
		}
	}
	return nil
}

// memberOf is the leaf's first column of the class.
func (l *leaf) memberOf(class map[source]bool) (source, bool) {
	var names []string
	for s := range class {
		if s.leaf == l {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return source{}, false
	}
	return source{l, slices.Min(names)}, true
}

// bounds reads the bounds of a leaf's column in its files; nil where its type
// is not one whose values can be written down and compared exactly.
func (s source) bounds() func(*File) (least, greatest value, some bool) {
	switch s.leaf.types[s.name] {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "VARCHAR":
	default:
		return nil
	}
	i := slices.IndexFunc(s.leaf.table.Columns, func(c Column) bool { return fold(c.Name) == s.name })
	if i < 0 || s.leaf.table.Columns[i].Type != s.leaf.types[s.name] {
		return nil
	}
	return s.leaf.table.boundsOf(i)
}

// cut finds the values that make parts of about the same size.
func (c *cuts) cut(s source, parts int) bool {
	bounds := s.bounds()
	if bounds == nil || len(s.leaf.files) < cutFilesMin*parts || len(s.leaf.files) > cutFilesMax {
		return false
	}
	type begin struct {
		at     value
		weight int64
	}
	var begins []begin
	var total int64
	for i := range s.leaf.files {
		f := &s.leaf.files[i]
		total += weight(*f)
		if least, _, some := bounds(f); some && least.canBeWritten() {
			begins = append(begins, begin{least, weight(*f)})
		}
	}
	slices.SortStableFunc(begins, func(a, b begin) int { order, _ := a.at.compare(b.at); return order })
	var before int64
	for i, b := range begins {
		next := int64(len(c.at) + 1)
		if i > 0 && before >= next*total/int64(parts) && (len(c.at) == 0 || less(c.at[len(c.at)-1], b.at)) {
			c.at = append(c.at, b.at)
		}
		before += b.weight
	}
	return len(c.at) == parts-1
}

func less(v, w value) bool {
	order, known := v.compare(w)
	return known && order < 0
}

// canBeWritten tells a value that SQL can name exactly.
func (v value) canBeWritten() bool {
	return v.kind == numberKind && v.whole || v.kind == textKind && !strings.Contains(v.text, "\x00")
}

// deal gives each part the files of a table that may hold its keys. ok is
// false where too many are in several parts, or a part has too many.
func (c *cuts) deal(s source) (parts []Part, excess float64, ok bool) {
	bounds := s.bounds()
	if bounds == nil || len(s.leaf.files) > cutFilesMax || s.leaf.types[s.name] != c.columnType {
		return nil, 0, false
	}
	i := slices.IndexFunc(s.leaf.table.Columns, func(col Column) bool { return fold(col.Name) == s.name })
	rangeOf := s.leaf.table.rangeOf(i)
	parts = make([]Part, len(c.at)+1)
	sums := make([]int64, len(parts))
	var total, read int64
	for n := range s.leaf.files {
		f := &s.leaf.files[n]
		total += weight(*f)
		least, greatest, some := bounds(f)
		noNulls := rangeOf(f).NoNulls
		for p := range parts {
			switch {
			case some && (noNulls || p == 0) && c.holds(p, least, greatest):
				parts[p].Inside = append(parts[p].Inside, *f)
			case some && c.mayHold(p, least, greatest) || p == 0 && !noNulls:
				parts[p].Edges = append(parts[p].Edges, *f)
			default:
				continue
			}
			sums[p] += weight(*f)
			read += weight(*f)
		}
	}
	excess = float64(slices.Max(sums)) * float64(len(parts)) / float64(total)
	return parts, excess, float64(read) <= cutOverlapMax*float64(total) && excess <= cutImbalanceMax
}

// mayHold tells that a value between two may be in a part. What is not known
// may be.
func (c *cuts) mayHold(part int, least, greatest value) bool {
	return (part == 0 || !less(greatest, c.at[part-1])) && (part == len(c.at) || !orderedUp(c.at[part], least))
}

// holds tells that all values between two are in a part.
func (c *cuts) holds(part int, least, greatest value) bool {
	return (part == 0 || orderedUp(c.at[part-1], least)) && (part == len(c.at) || less(greatest, c.at[part]))
}

// orderedUp tells that v is at most w.
func orderedUp(v, w value) bool {
	order, known := v.compare(w)
	return known && order <= 0
}

// literals are the cuts as SQL.
func (c *cuts) literals() []string {
	all := make([]string, len(c.at))
	for i, v := range c.at {
		if all[i] = "'" + strings.ReplaceAll(v.text, "'", "''") + "'"; v.kind == numberKind {
			all[i] = strconv.FormatInt(v.integer, 10)
		}
	}
	return all
}

// Of are the files that a stage's ith fragment reads of a table, given its
// share of the split one.
func (t StageTable) Of(i int, share []File) []File {
	switch {
	case t.Split:
		return share
	case t.Key != "":
		return slices.Concat(t.Parts[i].Inside, t.Parts[i].Edges)
	}
	return t.Files
}

// rangedKey names a column by whose ranges the stage's fragments read.
func (s *Stage) rangedKey() string {
	for _, t := range s.Tables {
		if t.Key != "" {
			return t.Key
		}
	}
	return ""
}

// Within is the condition that a key, which is SQL, is in a part of a stage of
// ranges.
func (s *Stage) Within(key string, part int) string {
	var all []string
	if part > 0 {
		all = append(all, key+" >= "+s.Cuts[part-1])
	}
	if part < len(s.Cuts) {
		all = append(all, key+" < "+s.Cuts[part])
	}
	if part == 0 {
		all = append(all, key+" IS NULL")
		return strings.Join(all, " OR ")
	}
	return strings.Join(all, " AND ")
}
