package payload

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"skein/internal/fault"
	"skein/meta"
)

// Limits of a payload.
const (
	DepthMax     = 32  // objects and arrays in one another, the payload itself counted
	NameBytesMax = 255 // of a field's name
)

type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// value is one JSON value. raw is its text as the client wrote it.
type value struct {
	kind   kind
	raw    []byte
	str    string // of a string
	elems  []value
	fields []field
}

type field struct {
	name string
	value
}

// Object is a payload that was read. It refers to the bytes it was read from.
type Object struct{ fields []field }

// Parse reads one JSON object. A bad one is InvalidArgument.
func Parse(text []byte) (Object, error) {
	if !utf8.Valid(text) {
		return Object{}, fault.New(fault.InvalidArgument, "payload is not valid UTF-8")
	}
	if err := syntaxError(text); err != nil {
		return Object{}, err
	}
	r := reader{text: text}
	r.space()
	if r.peek() != '{' {
		return Object{}, fault.Newf(fault.InvalidArgument, "payload must be a JSON object, such as {\"name\": \"x\"}; it is %.40q", text)
	}
	v, err := r.value(1)
	return Object{fields: v.fields}, err
}

func syntaxError(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	var v json.RawMessage
	return fault.Newf(fault.InvalidArgument, "payload is not valid JSON: %w", json.Unmarshal(text, &v))
}

// reader goes through text that is known to be valid JSON.
type reader struct {
	text []byte
	at   int
}

func (r *reader) peek() byte { return r.text[r.at] }

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

// next skips the byte that the reader is at, and space before and after.
func (r *reader) next() {
	r.space()
	r.at++
	r.space()
}

func (r *reader) value(depth int) (v value, err error) {
	start := r.at
	switch r.peek() {
	case '{', '[':
		if depth > DepthMax {
			return v, fault.Newf(fault.InvalidArgument, "payload nests deeper than %d levels, flatten it", DepthMax)
		}
		if r.peek() == '{' {
			v.kind = kindObject
			v.fields, err = r.object(depth)
		} else {
			v.kind = kindArray
			v.elems, err = r.array(depth)
		}
	case '"':
		v.kind = kindString
		v.str, err = r.str()
	case 't', 'f':
		v.kind = kindBool
		r.word()
	case 'n':
		r.word()
	default:
		v.kind = kindNumber
		r.word()
	}
	v.raw = r.text[start:r.at:r.at]
	return v, err
}

// word skips a literal or a number.
func (r *reader) word() {
	for r.at < len(r.text) && strings.IndexByte(",]} \t\r\n", r.text[r.at]) < 0 {
		r.at++
	}
}

func (r *reader) array(depth int) (elems []value, err error) {
	for r.next(); r.peek() != ']'; {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		elems = append(elems, v)
		if r.space(); r.peek() == ',' {
			r.next()
		}
	}
	r.at++
	return elems, nil
}

func (r *reader) object(depth int) (fields []field, err error) {
	for r.next(); r.peek() != '}'; {
		name, err := r.str()
		if err == nil {
			err = checkName(name)
		}
		if err != nil {
			return nil, err
		}
		r.next() // the colon
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{name, v})
		if r.space(); r.peek() == ',' {
			r.next()
		}
	}
	r.at++
	return fields, checkUnique(fields)
}

// str reads a string without its quotes.
func (r *reader) str() (string, error) {
	start := r.at
	escaped := false
	for r.at++; r.peek() != '"'; r.at++ {
		if r.peek() == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	raw := r.text[start:r.at]
	if !escaped {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fault.Newf(fault.InvalidArgument, "payload string %.40q: %w", raw, err)
	}
	if halfPair(raw) {
		return "", fault.Newf(fault.InvalidArgument, "payload string %.40q holds half of a surrogate pair, which is no character", raw)
	}
	return s, nil
}

// halfPair tells whether a valid JSON string holds the escape of one half of a
// surrogate pair without the other.
func halfPair(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		c, ok := unit(raw[i:])
		switch {
		case !ok:
			i++ // a short escape, which may be that of a backslash
		case !utf16.IsSurrogate(c):
			i += escapeBytes - 1
		default:
			low, _ := unit(raw[i+escapeBytes:])
			if utf16.DecodeRune(c, low) == unicode.ReplacementChar {
				return true
			}
			i += 2*escapeBytes - 1
		}
	}
	return false
}

const escapeBytes = len(`\u0000`)

// unit reads an escape such as \u00e9 at the start of text; false if there is
// none.
func unit(text []byte) (rune, bool) {
	if len(text) < escapeBytes || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:escapeBytes]), 16, 16)
	return rune(n), err == nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return fault.New(fault.InvalidArgument, "payload has a field with an empty name, name it")
	case len(name) > NameBytesMax:
		return fault.Newf(fault.InvalidArgument, "payload field %.40q… has a name of %d bytes, at most %d are allowed", name, len(name), NameBytesMax)
	case strings.IndexByte(name, 0) >= 0:
		return fault.Newf(fault.InvalidArgument, "payload field %q has a NUL in its name", name)
	}
	return nil
}

const fewFields = 12 // up to which comparing all pairs is the fastest

func checkUnique(fields []field) error {
	if len(fields) <= fewFields {
		for i := range fields {
			for j := range i {
				if sameName(fields[i].name, fields[j].name) {
					return twice(fields[j].name, fields[i].name)
				}
			}
		}
		return nil
	}
	seen := make(map[string]string, len(fields))
	for _, f := range fields {
		folded := meta.FoldName(f.name)
		if other, ok := seen[folded]; ok {
			return twice(other, f.name)
		}
		seen[folded] = f.name
	}
	return nil
}

func sameName(a, b string) bool {
	return len(a) == len(b) && meta.FoldName(a) == meta.FoldName(b)
}

func twice(a, b string) error {
	if a == b {
		return fault.Newf(fault.InvalidArgument, "payload has the field %q twice in one object, keep one", a)
	}
	return fault.Newf(fault.InvalidArgument, "payload has the fields %q and %q in one object; names that differ only in case are the same column, rename one", a, b)
}
