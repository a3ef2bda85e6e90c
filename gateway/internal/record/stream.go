package record

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"

	"skein/internal/fault"
)

const readBytes = 64 << 10

// Stream is records in a body, one after another.
type Stream struct {
	r     *bufio.Reader
	next  func() ([]byte, error)
	place string
	n     int
}

// Lines reads newline-delimited JSON. Blank lines are skipped; the last line
// needs no newline.
func Lines(r io.Reader) *Stream {
	s := &Stream{r: bufio.NewReaderSize(r, readBytes), place: "line"}
	s.next = s.line
	return s
}

// Array reads the elements of a JSON array.
func Array(r io.Reader) *Stream {
	s := &Stream{r: bufio.NewReaderSize(r, readBytes), place: "record"}
	s.next = s.element
	return s
}

// Next returns the JSON of the next record, which the caller may keep. io.EOF
// ends the stream; a body that is cut off ends with InvalidArgument instead,
// and a record longer than BytesMax with TooLarge.
func (s *Stream) Next() ([]byte, error) { return s.next() }

// Place tells where the record that Next returned last is: "line" or
// "record", and its number from 1.
func (s *Stream) Place() (string, int) { return s.place, s.n }

func (s *Stream) line() ([]byte, error) {
	for {
		s.n++
		line, err := s.untilNewline()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return bytes.TrimRight(line, "\r\n"), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *Stream) untilNewline() ([]byte, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if len(line)+len(part) > BytesMax {
			return nil, errLong()
		}
		line = append(line, part...)
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return line, err
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, cut(err)
		}
	}
}

// element reads up to the end of the next object, without looking inside.
func (s *Stream) element() ([]byte, error) {
	c, err := s.token()
	switch {
	case err != nil:
		return nil, err
	case s.n == 0 && c != '[':
		return nil, fault.New(fault.InvalidArgument, "the body must be a JSON array of records")
	case s.n == 0:
		if c, err = s.token(); err != nil {
			return nil, err
		}
	case c == ',':
		if c, err = s.token(); err != nil {
			return nil, err
		}
		if c == ']' {
			s.n++
			return nil, fault.New(fault.InvalidArgument, "invalid JSON: a comma before the end of the array")
		}
	case c != ']':
		s.n++
		return nil, fault.New(fault.InvalidArgument, "invalid JSON: a comma is missing after a record")
	}
	if c == ']' {
		return nil, s.end()
	}
	s.n++
	if c != '{' {
		return nil, fault.New(fault.InvalidArgument, "the array must hold only objects, one for each record")
	}
	return s.object()
}

func (s *Stream) object() ([]byte, error) {
	data := []byte{'{'}
	depth, quoted := 1, false
	for depth > 0 {
		c, err := s.r.ReadByte()
		if err != nil {
			return nil, cut(err)
		}
		if len(data) == BytesMax {
			return nil, errLong()
		}
		data = append(data, c)
		switch {
		case quoted && c == '\\':
			if c, err = s.r.ReadByte(); err != nil {
				return nil, cut(err)
			}
			data = append(data, c)
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			depth++
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
	}
	return data, nil
}

// token returns the next byte that is no space.
func (s *Stream) token() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		if !isSpace(c) {
			return c, nil
		}
	}
}

// end makes sure that nothing follows the array.
func (s *Stream) end() error {
	for {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return cut(err)
		case !isSpace(c):
			return fault.New(fault.InvalidArgument, "invalid JSON: something follows the array of records")
		}
	}
}

// cut tells why a body stopped before its end.
func cut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.InvalidArgument, "the body stopped coming: send it without long pauses")
	}
	return fault.New(fault.InvalidArgument, "the body is cut off")
}

func errLong() error {
	return fault.Newf(fault.TooLarge, "a record is longer than %d MiB: send smaller ones", BytesMax>>20)
}
