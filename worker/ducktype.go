package worker

import (
	"strings"

	"skein/internal/fault"
	"skein/meta"
)

// ParseType reads a type as DuckDB's DESCRIBE writes it. Structs and lists are
// told part by part, all else is a leaf of that name.
func ParseType(text string) (meta.Type, error) {
	p := typeParser{text: text}
	t, ok := p.parse()
	if !ok || p.at != len(text) {
		return t, fault.Newf(fault.Internal, "type %q is not understood", text)
	}
	return t, nil
}

type typeParser struct {
	text string
	at   int
}

func (p *typeParser) accept(s string) bool {
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *typeParser) parse() (t meta.Type, ok bool) {
	if p.accept("STRUCT(") {
		t, ok = p.fields()
	} else {
		t, ok = p.leaf()
	}
	for ok && p.accept("[]") {
		elem := t
		t = meta.Type{Kind: meta.KindList, Elem: &elem}
	}
	return t, ok
}

func (p *typeParser) fields() (meta.Type, bool) {
	t := meta.Type{Kind: meta.KindStruct}
	for {
		name, ok := p.name()
		if !ok || !p.accept(" ") {
			return t, false
		}
		ft, ok := p.parse()
		if !ok {
			return t, false
		}
		t.Fields = append(t.Fields, meta.Column{Name: name, Type: ft})
		if p.accept(")") {
			return t, true
		}
		if !p.accept(", ") {
			return t, false
		}
	}
}

// name reads an identifier, which is quoted if it must be.
func (p *typeParser) name() (string, bool) {
	if !p.accept(`"`) {
		n := strings.IndexByte(p.text[p.at:], ' ')
		if n <= 0 {
			return "", false
		}
		p.at += n
		return p.text[p.at-n : p.at], true
	}
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		if c == '"' && !p.accept(`"`) {
			return b.String(), true
		}
		b.WriteByte(c)
	}
	return "", false
}

// leaf reads up to where the enclosing type goes on. Parameters in parentheses
// belong to it.
func (p *typeParser) leaf() (meta.Type, bool) {
	start, depth, quoted := p.at, 0, false
scan:
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth == 0 && (c == ')' || c == ',' || c == '['):
			break scan
		}
	}
	return leafType(p.text[start:p.at]), p.at > start && depth == 0 && !quoted
}

// leafType marks a BIGINT of unknown values as wide.
func leafType(kind string) meta.Type {
	return meta.Type{Kind: kind, Wide: kind == meta.KindBigInt}
}
