package meta

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"skein/internal/fault"
)

// Limits of names, in bytes.
const (
	TableNameMax = 64
	IDMax        = 512
	IDSegmentMax = 200 // of EncodeID
)

const idHashDigits = 32 // hex digits that end a cut segment

var (
	reservedNames    = []string{"metadata"}
	reservedPrefixes = []string{"duckdb_", "pg_", "sqlite_", "information_schema"}
)

// ValidateTableName returns the name in lower case, or InvalidArgument with
// the rule that it breaks.
func ValidateTableName(name string) (canonical string, err error) {
	if !isTableName(name) {
		return "", fault.Newf(fault.InvalidArgument,
			"table name %.80q: it must have 1 to %d characters, only letters a to z, digits and underscores, and not start with a digit", name, TableNameMax)
	}
	canonical = strings.ToLower(name)
	if slices.Contains(reservedNames, canonical) {
		return "", fault.Newf(fault.InvalidArgument, "table name %q is reserved, choose another", name)
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(canonical, p) {
			return "", fault.Newf(fault.InvalidArgument, "table name %q: names that start with %s are reserved, choose another", name, p)
		}
	}
	return canonical, nil
}

func isTableName(name string) bool {
	if len(name) == 0 || len(name) > TableNameMax || isDigit(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isLetter(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return true
}

// ValidateID tells whether a record may have this id, by nil or
// InvalidArgument.
func ValidateID(id string) error {
	switch {
	case id == "":
		return fault.New(fault.InvalidArgument, "id is missing: give every record a non-empty id")
	case len(id) > IDMax:
		return fault.Newf(fault.InvalidArgument, "id %.40q… has %d bytes, at most %d are allowed", id, len(id), IDMax)
	case !utf8.ValidString(id):
		return fault.Newf(fault.InvalidArgument, "id %.80q is not valid UTF-8", id)
	case strings.ContainsFunc(id, unicode.IsControl):
		return fault.Newf(fault.InvalidArgument, "id %.80q holds a control character", id)
	case strings.Contains(id, "../"):
		return fault.Newf(fault.InvalidArgument, "id %.80q holds ../, which ids may not, as they become part of paths: leave it out", id)
	}
	return nil
}

// NoID is the path segment of files without an id.
const NoID = "_"

// EncodeID is the path segment of an id: letters, digits and ._~@=+- as they
// are, all else as %XX. Different ids have different segments, none of which
// is NoID; long ones are cut and told apart by a hash. The empty id is no id.
func EncodeID(id string) string {
	switch {
	case id == "":
		return NoID
	case id == NoID:
		return "%5F"
	case strings.Trim(id, ".") == "":
		return cutSegment(strings.Repeat("%2E", len(id)), id)
	}
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; isLetter(c) || isDigit(c) || strings.IndexByte("._~@=+-", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return cutSegment(b.String(), id)
}

// cutSegment replaces the end of a long segment by a hash of the id, and also
// that of a segment that looks like a cut one.
func cutSegment(segment, id string) string {
	const keep = IDSegmentMax - 1 - idHashDigits
	if len(segment) <= IDSegmentMax && !looksCut(segment) {
		return segment
	}
	head := segment[:keep]
	if i := strings.LastIndexByte(head, '%'); i > keep-3 {
		head = head[:i] // whole escapes only
	}
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s~%x", head, sum[:idHashDigits/2])
}

func looksCut(segment string) bool {
	tilde := len(segment) - 1 - idHashDigits
	if len(segment) < IDSegmentMax-2 || segment[tilde] != '~' {
		return false
	}
	return strings.Trim(segment[tilde+1:], "0123456789abcdef") == ""
}

// ObjectPath is the object key of a data file: idSegment comes from EncodeID
// or is NoID, day is YYYY-MM-DD, ns the file's number in nanoseconds.
func ObjectPath(table, idSegment, day string, ns int64) string {
	return fmt.Sprintf("%s/%s/%s/%d.parquet", table, idSegment, day, ns)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
