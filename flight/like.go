package flight

import "strings"

// like matches names against an SQL pattern, in which % stands for any text,
// _ for any character and \ takes the next character as it is. Case is not
// looked at, as in DuckDB's names.
type like struct{ parts []likePart }

type likePart struct {
	char rune // 0 for a wildcard
	many bool // of a wildcard: % and not _
}

// newLike reads a pattern; nil matches everything.
func newLike(pattern *string) like {
	if pattern == nil {
		return like{[]likePart{{many: true}}}
	}
	var l like
	escaped := false
	for _, c := range strings.ToLower(*pattern) {
		switch {
		case escaped:
			l.parts, escaped = append(l.parts, likePart{char: c}), false
		case c == '\\':
			escaped = true
		case c == '%' || c == '_':
			l.parts = append(l.parts, likePart{many: c == '%'})
		default:
			l.parts = append(l.parts, likePart{char: c})
		}
	}
	if escaped {
		l.parts = append(l.parts, likePart{char: '\\'})
	}
	return l
}

// match walks both texts once, going back only to the last %.
func (l like) match(name string) bool {
	text := []rune(strings.ToLower(name))
	i, j, star, from := 0, 0, -1, 0
	for i < len(text) {
		switch {
		case j < len(l.parts) && l.parts[j].char == 0 && l.parts[j].many:
			star, from = j, i
			j++
		case j < len(l.parts) && (l.parts[j].char == 0 || l.parts[j].char == text[i]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	for j < len(l.parts) && l.parts[j].many {
		j++
	}
	return j == len(l.parts)
}

// glob is a pattern with * and ? that finds at least the same names.
func (l like) glob() string {
	var b strings.Builder
	for _, p := range l.parts {
		switch {
		case p.char != 0 && !strings.ContainsRune(`*?[]\`, p.char):
			b.WriteRune(p.char)
		case p.many:
			b.WriteByte('*')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}
