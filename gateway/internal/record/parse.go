package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
)

// BytesMax is the longest record, as JSON.
const BytesMax = 16 << 20

// Row is a record and the table it is for.
type Row struct {
	Table string // lower case
	coordinator.Record
}

// Parse reads one record and keeps parts of data. A record without timestamp
// gets the time of arrival, one without payload has no fields. Errors are
// InvalidArgument; for bad JSON with details "line" and "column" in data.
func Parse(data []byte, arrival time.Time) (Row, error) {
	if err := CheckJSON(data); err != nil {
		return Row{}, err
	}
	s := scanner{data: data}
	s.space()
	if s.data[s.pos] != '{' {
		return Row{}, fault.New(fault.InvalidArgument, `a record must be an object {"table": …, "id": …, "timestamp": …, "payload": {…}}`)
	}
	r := Row{Record: coordinator.Record{Timestamp: arrival}}
	if err := s.object(0, r.set); err != nil {
		return Row{}, err
	}
	if r.Payload == nil {
		r.Payload = []byte("{}")
	}
	return r, r.Check()
}

// Check validates the table, id and timestamp, and puts the table's name into
// lower case.
func (r *Row) Check() error {
	if r.Table == "" {
		return fault.New(fault.InvalidArgument, "table is missing: name the table that the record is for")
	}
	table, err := meta.ValidateTableName(r.Table)
	if err != nil {
		return err
	}
	r.Table = table
	if err := meta.ValidateID(r.ID); err != nil {
		return err
	}
	if y := r.Timestamp.UTC().Year(); y < 1 || y > 9999 {
		return fault.Newf(fault.InvalidArgument, "timestamp is in year %d: use the years 1 to 9999", y)
	}
	return nil
}

// set takes one member of the record.
func (r *Row) set(key string, value []byte) error {
	switch key {
	case "table":
		return text(key, value, &r.Table)
	case "id":
		return text(key, value, &r.ID)
	case "timestamp":
		return r.setTime(value)
	case "payload":
		if value[0] != '{' {
			return fault.New(fault.InvalidArgument, "payload must be an object")
		}
		r.Payload = value
		return nil
	}
	return fault.Newf(fault.InvalidArgument, "unknown field %.80q: a record has table, id, timestamp and payload", key).With("field", shown(key))
}

func text(key string, value []byte, to *string) error {
	if value[0] != '"' {
		return fault.Newf(fault.InvalidArgument, "%s must be a string", key)
	}
	if err := json.Unmarshal(value, to); err != nil {
		return err
	}
	if strings.ContainsRune(*to, utf8.RuneError) { // what becomes of half a surrogate pair
		return fault.Newf(fault.InvalidArgument, "%s %.80q holds half of a surrogate pair or U+FFFD, which is no character", key, value)
	}
	return nil
}

func (r *Row) setTime(value []byte) error {
	var s string
	if err := text("timestamp", value, &s); err != nil {
		return err
	}
	if err := r.Timestamp.UnmarshalText([]byte(s)); err != nil {
		return fault.Newf(fault.InvalidArgument, "timestamp %.80q: use RFC 3339 with a year from 0001 to 9999, such as 2023-10-27T10:00:00Z", s)
	}
	r.Timestamp = r.Timestamp.UTC()
	return nil
}

// CheckJSON tells whether data is one JSON value in UTF-8, by nil or
// InvalidArgument with the details "line" and "column".
func CheckJSON(data []byte) error {
	if !json.Valid(data) {
		return syntaxError(data)
	}
	if utf8.Valid(data) {
		return nil
	}
	at := 0
	for at < len(data) {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return placed(data, at, "invalid UTF-8", "")
}

func syntaxError(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return fault.New(fault.InvalidArgument, "the body is empty: send a JSON object")
	}
	var skip json.RawMessage
	err := json.Unmarshal(data, &skip)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fault.Newf(fault.InvalidArgument, "invalid JSON: %w", err)
	}
	at := len(data)
	if syntax.Error() != "unexpected end of JSON input" {
		at = max(int(syntax.Offset)-1, 0) // it counts the offending byte
	}
	return placed(data, at, "invalid JSON", ": "+syntax.Error())
}

// placed tells where in data something is wrong.
func placed(data []byte, at int, what, why string) error {
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	place := fmt.Sprintf("column %d", column)
	if line > 1 {
		place = fmt.Sprintf("line %d, column %d", line, column)
	}
	return fault.Newf(fault.InvalidArgument, "%s at %s%s", what, place, why).
		With("line", strconv.Itoa(line)).With("column", strconv.Itoa(column))
}

func shown(s string) string { return s[:min(len(s), 80)] }
