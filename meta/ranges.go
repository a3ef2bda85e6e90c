package meta

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what the index keeps of a file's columns.
const (
	RangesMax     = 64    // columns with a range
	RangeTextMax  = 32    // bytes of a bound of text, which is cut there
	rangesTextMax = 8_192 // bytes of Ranges, which RangesMax ranges do not reach
)

// Range bounds the values of a column in one file. Integers, DECIMAL, FLOAT
// and DOUBLE are decimal numbers, DATE counts days and the timestamps their
// microseconds (TIMESTAMP_NS: nanoseconds) since 1970, BOOLEAN is 0 or 1, and
// text is itself, cut to RangeTextMax.
type Range struct {
	Column   int    // place in the schema that the file was written with
	Nulls    int64  // rows in which the column is NULL
	Min, Max string // no value is less or greater; empty where not known
}

// Ranges are the ranges of a file's columns. It is text, so that an index of
// many files stays small: each range is "COLUMN,NULLS,BYTES OF MIN,BYTES OF
// MAX:" and the two bounds.
type Ranges string

// NewRanges keeps the first RangesMax ranges, which have different columns.
func NewRanges(ranges []Range) Ranges {
	var b strings.Builder
	for _, r := range ranges[:min(len(ranges), RangesMax)] {
		for i, n := range []int64{int64(r.Column), r.Nulls, int64(len(r.Min)), int64(len(r.Max))} {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.FormatInt(n, 10))
		}
		b.WriteByte(':')
		b.WriteString(r.Min)
		b.WriteString(r.Max)
	}
	return Ranges(b.String())
}

// Of returns the range of the column; ok is false where none is kept.
func (r Ranges) Of(column int) (c Range, ok bool) {
	for text := string(r); text != ""; {
		if c, text, ok = readRange(text); !ok || c.Column == column {
			return c, ok
		}
	}
	return Range{}, false
}

// All are the ranges, up to where the text is not well formed.
func (r Ranges) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for text := string(r); text != ""; {
			c, rest, ok := readRange(text)
			if !ok || !yield(c) {
				return
			}
			text = rest
		}
	}
}

const countDigitsMax = 18 // of a number in Ranges, so that it is an int64

// readRange reads the first range. Queries read one of each file.
func readRange(text string) (r Range, rest string, ok bool) {
	var n [4]int64
	at := 0
	for i := range n {
		start := at
		for at < len(text) && '0' <= text[at] && text[at] <= '9' {
			n[i] = n[i]*10 + int64(text[at]-'0')
			at++
		}
		if at == start || at-start > countDigitsMax || at == len(text) || text[at] != ",,,:"[i] {
			return r, "", false
		}
		at++
	}
	text = text[at:]
	size := int64(len(text))
	if n[2] > size || n[3] > size-n[2] {
		return r, "", false
	}
	r = Range{Column: int(n[0]), Nulls: n[1], Min: text[:n[2]], Max: text[n[2] : n[2]+n[3]]}
	return r, text[n[2]+n[3]:], true
}

// KeepsOrder tells whether the bounds of a column, stored as from, are bounds
// of what ReadExpr reads from it as to: of the same values, or of what a cast
// that never exchanges two values makes of them. A bound is read as to then,
// rounded to the nearest as by the cast.
func KeepsOrder(from, to Type) bool {
	_, fromInt := integers[from.Kind]
	_, toInt := integers[to.Kind]
	switch {
	case from.Kind == to.Kind:
		return from.Kind != KindJSON && from.Kind != KindStruct && from.Kind != KindList
	case fromInt:
		return toInt || to.Kind == KindDouble || to.Kind == KindBigDecimal
	}
	return from.Kind == KindFloat && to.Kind == KindDouble
}

func (r Ranges) valid() bool { return len(r) <= rangesTextMax && utf8.ValidString(string(r)) }

// TextBounds cuts the bounds of a text to RangeTextMax: the upper one becomes
// greater by that, or empty if no greater text is so short. Both are empty
// for what is not UTF-8.
func TextBounds(least, greatest string) (lower, upper string) {
	if !utf8.ValidString(least) || !utf8.ValidString(greatest) {
		return "", ""
	}
	lower, upper = cutText(least), cutText(greatest)
	if upper != greatest {
		upper = nextText(upper)
	}
	return lower, upper
}

// cutText is the longest beginning of s of whole characters and at most
// RangeTextMax bytes.
func cutText(s string) string {
	if len(s) <= RangeTextMax {
		return s
	}
	n := RangeTextMax
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// nextText is greater than every text that begins with s, in the order of
// bytes, and no longer than s; empty if there is none.
func nextText(s string) string {
	const surrogates, afterSurrogates = 0xD800, 0xE000
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
		if r++; r == surrogates {
			r = afterSurrogates
		}
		if utf8.RuneLen(r) == n { // else it would be longer
			return s + string(r)
		}
	}
	return ""
}
