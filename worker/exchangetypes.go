package worker

import (
	"strings"

	"skein/internal/duck"
	nodev1 "skein/proto/node/v1"
)

// asText are the types that Arrow, as DuckDB reads and writes it, loses
// something of, or has no form for. They travel as text, which DuckDB reads
// back without loss.
var asText = []string{
	"UHUGEINT",            // a decimal of 38 digits has no room for it; DuckDB takes 0.3 ms to write the largest
	"BIT",                 // its length is lost
	"TIME WITH TIME ZONE", // its offset is lost
	"INTERVAL",            // nanoseconds have no room for its microseconds; text has for a billion hours, more is an error
	"BIGNUM",              // as a map's key or value it stays a BLOB
}

// transportType is the type that values of a DuckDB type travel as, both as
// DESCRIBE writes them: the same with what would be lost replaced by VARCHAR,
// also inside other types. Whoever loads the values casts them back.
func transportType(text string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		rest := text[at:]
		switch n := lossyLength(rest); {
		case n > 0:
			b.WriteString("VARCHAR")
			at += n
		case rest[0] == '"' || rest[0] == '\'':
			n := quotedLength(rest)
			b.WriteString(rest[:n])
			at += n
		default:
			n := max(wordLength(rest), 1)
			b.WriteString(rest[:n])
			at += n
		}
	}
	return b.String()
}

// lossyLength is how long the type at the start of text is if it must travel
// as text; else zero. A struct's field of such a name is no type: a blank and
// its type follow.
func lossyLength(text string) int {
	if strings.HasPrefix(text, "ENUM(") {
		return enumLength(text)
	}
	for _, name := range asText {
		rest, ok := strings.CutPrefix(text, name)
		if ok && (rest == "" || strings.IndexByte("),[", rest[0]) >= 0) {
			return len(name)
		}
	}
	return 0
}

// enumLength is the length of an ENUM with its values.
func enumLength(text string) int {
	for at := 0; at < len(text); {
		switch text[at] {
		case '\'':
			at += quotedLength(text[at:])
		case ')':
			return at + 1
		default:
			at++
		}
	}
	return len(text)
}

// quotedLength is the length of the quoted text that text starts with. A
// doubled quote reads as two texts side by side, which is as good.
func quotedLength(text string) int {
	end := strings.IndexByte(text[1:], text[0])
	if end < 0 {
		return len(text)
	}
	return end + 2
}

func wordLength(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		return len(text)
	}
	return n
}

// transportColumns are the expressions that read kept columns for a journey.
func transportColumns(columns []*nodev1.Column) string {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		name := duck.Ident(c.Name)
		exprs[i] = name
		if t := transportType(c.Type); t != c.Type {
			exprs[i] = "CAST(" + name + " AS " + t + ") AS " + name
		}
	}
	return strings.Join(exprs, ", ")
}
