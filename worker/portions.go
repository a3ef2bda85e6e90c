package worker

import (
	"github.com/apache/arrow-go/v18/arrow"

	nodev1 "skein/proto/node/v1"
)

// Sizes of a fragment that is run in portions.
const (
	portionBytes    = 32 << 20  // of a portion's rows in memory, about, if it has several files
	portionBytesMax = 128 << 20 // with a larger file the fragment is run whole
	pourBytesMin    = 4 << 20   // a smaller fragment is run whole
)

// textWidth is a guess of how many bytes a value takes that has no fixed size.
const textWidth = 32

// widthOf is about how many bytes a row takes.
func widthOf(s *arrow.Schema) (n int64) {
	for _, f := range s.Fields() {
		if t, ok := f.Type.(arrow.FixedWidthDataType); ok {
			n += int64(t.BitWidth()+7) / 8
		} else {
			n += textWidth
		}
	}
	return n
}

// portions divides a fragment of one table into ones of a few files each; nil
// if one of the files is too large. The first is firstPortion's.
func portions(f *nodev1.Fragment, width int64) []*nodev1.Fragment {
	first := firstPortion(f)
	if rowsOf(first)*width > portionBytesMax {
		return nil
	}
	all := []*nodev1.Fragment{first}
	taken := map[*nodev1.Split]bool{}
	for _, g := range first.Tables[0].Groups {
		for _, s := range g.Splits {
			taken[s] = true
		}
	}
	var last *nodev1.TableScan
	rows := int64(0)
	for _, g := range f.Tables[0].Groups {
		var group *nodev1.FileGroup
		for _, s := range g.Splits {
			switch {
			case taken[s]:
				continue
			case s.Rows*width > portionBytesMax:
				return nil
			case last == nil || (rows+s.Rows)*width > portionBytes:
				p := withoutFiles(f)
				all, last, rows, group = append(all, p), p.Tables[0], 0, nil
			}
			if group == nil {
				group = &nodev1.FileGroup{Expressions: g.Expressions, Filter: g.Filter}
				last.Groups = append(last.Groups, group)
			}
			group.Splits = append(group.Splits, s)
			rows += s.Rows
		}
	}
	return all
}

// withoutFiles is a copy of a fragment of one table that reads no file.
func withoutFiles(f *nodev1.Fragment) *nodev1.Fragment {
	t := f.Tables[0]
	scan := &nodev1.TableScan{View: t.View, Columns: t.Columns}
	return &nodev1.Fragment{QueryId: f.QueryId, Stage: f.Stage, Number: f.Number, Attempt: f.Attempt, Sql: f.Sql, Tables: []*nodev1.TableScan{scan}}
}

// firstPortion reads the first object, and all unflushed rows: the nodes that
// hold those keep them for a short while only.
func firstPortion(f *nodev1.Fragment) *nodev1.Fragment {
	first := withoutFiles(f)
	object := false
	for _, g := range f.Tables[0].Groups {
		group := &nodev1.FileGroup{Expressions: g.Expressions, Filter: g.Filter}
		for _, s := range g.Splits {
			if s.Hot != nil || !object {
				group.Splits = append(group.Splits, s)
			}
			object = object || s.Hot == nil
		}
		if len(group.Splits) > 0 {
			first.Tables[0].Groups = append(first.Tables[0].Groups, group)
		}
	}
	return first
}

func rowsOf(f *nodev1.Fragment) (n int64) {
	for _, g := range f.Tables[0].Groups {
		for _, s := range g.Splits {
			n += s.Rows
		}
	}
	return n
}
