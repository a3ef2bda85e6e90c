package meta

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"skein/internal/fault"
)

// Limits of what a catalog keeps.
const (
	CommitFilesMax = 10_000 // files that one commit adds and removes
	PathMax        = 1_024  // bytes of File.Path, as for the keys of objects
	NodeIDMax      = 512    // bytes of Node.ID
	UnitMax        = 512    // bytes of a unit
)

// Validate tells whether a driver can keep the table, by nil or
// InvalidArgument. Drivers call it first.
func (t Table) Validate() error {
	canonical, err := ValidateTableName(t.Name)
	if err != nil {
		return err
	}
	if canonical != t.Name {
		return fault.Newf(fault.InvalidArgument, "table name %q is kept in lower case, as %q", t.Name, canonical)
	}
	if !storable(t.Created) {
		return fault.Newf(fault.InvalidArgument, "table %s: its creation time %s is outside years 1 to 9999", t.Name, t.Created)
	}
	return nil
}

// Validate tells whether a driver can apply the commit, by nil or
// InvalidArgument. Drivers call it first.
func (c Commit) Validate() error {
	if err := (OpenUnit{Node: c.Node, Unit: c.Unit, Replica: c.By}).Validate(); err != nil {
		return fmt.Errorf("commit to table %s: %w", c.Table, err) // without a unit, repeating it could not be recognised
	}
	if n := len(c.Add) + len(c.Remove); n > CommitFilesMax {
		return fault.Newf(fault.InvalidArgument, "commit %s to table %s: %d files, at most %d are allowed, split it", c.Unit, c.Table, n, CommitFilesMax)
	}
	if !storable(c.Time) {
		return fault.Newf(fault.InvalidArgument, "commit %s to table %s: time %s is outside years 1 to 9999", c.Unit, c.Table, c.Time)
	}
	paths := slices.Clone(c.Remove)
	for _, f := range c.Add {
		if !storable(f.MinTime) || !storable(f.MaxTime) {
			return fault.Newf(fault.InvalidArgument, "file %s: its times %s to %s leave years 1 to 9999", f.Path, f.MinTime, f.MaxTime)
		}
		if !f.valid() {
			return fault.Newf(fault.InvalidArgument, "file %.80q of commit %s: its path, its id %.40q, its day %.20q, %d rows, %d bytes or its ranges are not valid", f.Path, c.Unit, f.ID, f.Day, f.Rows, f.Bytes)
		}
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	if len(slices.Compact(paths)) < len(c.Add)+len(c.Remove) {
		return fault.Newf(fault.InvalidArgument, "commit %s to table %s: a path is named twice", c.Unit, c.Table)
	}
	return nil
}

func (f File) valid() bool {
	_, err := time.Parse(time.DateOnly, f.Day)
	return err == nil && f.Path != "" && len(f.Path) <= PathMax && utf8.ValidString(f.Path) &&
		utf8.ValidString(f.ID) && f.Ranges.valid() && f.Rows >= 0 && f.Bytes >= 0
}

// Validate tells whether a driver can keep the unit, by nil or
// InvalidArgument. Drivers call it first.
func (u OpenUnit) Validate() error {
	if u.Unit == "" || len(u.Unit) > UnitMax || len(u.Node) > NodeIDMax || len(u.Replica) > NodeIDMax {
		return fault.Newf(fault.InvalidArgument, "unit %.40q of node %.40q: units have 1 to %d bytes, nodes at most %d", u.Unit, u.Node, UnitMax, NodeIDMax)
	}
	if strings.Contains(u.Node+u.Replica, holderSeparator) {
		return fault.Newf(fault.InvalidArgument, "unit %.40q of node %.40q and replica %.40q: nodes have no line breaks", u.Unit, u.Node, u.Replica)
	}
	return nil
}

// Validate tells whether a driver can keep the node, by nil or
// InvalidArgument. Drivers call it first.
func (n Node) Validate() error {
	if n.ID == "" || len(n.ID) > NodeIDMax || !storable(n.Started) {
		return fault.Newf(fault.InvalidArgument, "node %.80q, started %s: its id must have 1 to %d bytes and its start be in years 1 to 9999", n.ID, n.Started, NodeIDMax)
	}
	return nil
}

// timeLayout has a fixed width, so that the order of texts is that of times.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// FormatTime writes t as RFC 3339 in UTC with nine decimals, so that texts
// order as times do; "" for the zero time. The year must be in 1 to 9999.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}

// ParseTime reads what FormatTime wrote, and any other RFC 3339 time.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, err
	}
	return t.UTC(), nil
}

func storable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// Compare orders units by node, then unit, as Listing.Open is ordered.
func (u OpenUnit) Compare(v OpenUnit) int {
	return cmp.Or(cmp.Compare(u.Node, v.Node), cmp.Compare(u.Unit, v.Unit))
}
