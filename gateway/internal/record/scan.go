package record

import (
	"bytes"
	"encoding/json"

	"skein/internal/fault"
)

const (
	depthMax  = 64 // of nested objects and arrays in a record
	linearMax = 16 // keys of an object that are compared one by one
)

// scanner walks valid JSON.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

// value steps over the value at pos and looks for keys that are there twice.
func (s *scanner) value(depth int) error {
	if depth > depthMax {
		return fault.Newf(fault.InvalidArgument, "the payload is nested deeper than %d levels", depthMax)
	}
	switch s.data[s.pos] {
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	case '"':
		s.string()
	default:
		for s.pos < len(s.data) && bytes.IndexByte([]byte(",]} \t\r\n"), s.data[s.pos]) < 0 {
			s.pos++
		}
	}
	return nil
}

// object steps over an object and calls visit, if any, with each member.
func (s *scanner) object(depth int, visit func(key string, value []byte) error) error {
	var seen keys
	s.pos++
	for {
		s.space()
		if s.data[s.pos] == '}' {
			s.pos++
			return nil
		}
		if s.data[s.pos] == ',' {
			s.pos++
			s.space()
		}
		key := s.string()
		if !seen.add(key) {
			return fault.Newf(fault.InvalidArgument, "field %.80q is there twice in one object", key).With("field", shown(string(key)))
		}
		s.space()
		s.pos++ // the colon
		s.space()
		start := s.pos
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if visit == nil {
			continue
		}
		if err := visit(string(key), s.data[start:s.pos]); err != nil {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	s.pos++
	for {
		s.space()
		switch s.data[s.pos] {
		case ']':
			s.pos++
			return nil
		case ',':
			s.pos++
			s.space()
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
}

// string steps over a string and returns what it says.
func (s *scanner) string() []byte {
	start, escaped := s.pos, false
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		if s.data[s.pos] == '\\' {
			escaped = true
			s.pos++
		}
	}
	s.pos++
	raw := s.data[start:s.pos]
	if !escaped {
		return raw[1 : len(raw)-1]
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		panic("BUG: a checked string is no JSON: " + err.Error())
	}
	return []byte(text)
}

// keys is a set of an object's keys.
type keys struct {
	few  [][]byte
	many map[string]bool
}

// add returns false if the key is there already.
func (k *keys) add(key []byte) bool {
	if k.many != nil {
		if k.many[string(key)] {
			return false
		}
		k.many[string(key)] = true
		return true
	}
	for _, have := range k.few {
		if bytes.Equal(have, key) {
			return false
		}
	}
	k.few = append(k.few, key)
	if len(k.few) > linearMax {
		k.many = make(map[string]bool, 2*len(k.few))
		for _, have := range k.few {
			k.many[string(have)] = true
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
