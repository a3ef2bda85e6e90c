package meta

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"skein/internal/fault"
)

// Layout is the major version of catalogs that this program reads and writes.
const Layout = 1

// Semver is the version of the whole catalog. Major counts incompatible
// layouts, Minor changes of tables and schemas, Patch all others. The zero
// value is none; a catalog begins with FirstVersion. As text it is 1.2.3.
type Semver struct{ Major, Minor, Patch int64 }

// FirstVersion is that of a catalog that nothing was changed in.
var FirstVersion = Semver{Major: Layout}

// ParseSemver reads three numbers with dots; InvalidArgument otherwise.
func ParseSemver(text string) (Semver, error) {
	var n [3]int64
	parts := strings.Split(text, ".")
	for i, part := range parts {
		number, err := strconv.ParseUint(part, 10, 52)
		if err != nil || len(parts) != len(n) || part != strconv.FormatUint(number, 10) {
			return Semver{}, fault.Newf(fault.InvalidArgument, "catalog version %.40q is not of the form 1.2.3", text)
		}
		n[i] = int64(number)
	}
	return Semver{n[0], n[1], n[2]}, nil
}

func (v Semver) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// IsZero tells whether v is no version.
func (v Semver) IsZero() bool { return v == Semver{} }

// MarshalText implements encoding.TextMarshaler; none is empty.
func (v Semver) MarshalText() ([]byte, error) {
	if v.IsZero() {
		return nil, nil
	}
	return []byte(v.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Semver) UnmarshalText(text []byte) (err error) {
	*v = Semver{}
	if len(text) > 0 {
		*v, err = ParseSemver(string(text))
	}
	return err
}

// Compare orders versions.
func (v Semver) Compare(w Semver) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// Next is the version after a change: of tables or schemas, or another.
func (v Semver) Next(structural bool) Semver {
	if structural {
		return Semver{v.Major, v.Minor + 1, 0}
	}
	return Semver{v.Major, v.Minor, v.Patch + 1}
}

// Compatible tells whether this program may use a catalog of version v, by nil
// or FailedPrecondition. Drivers call it when they open one.
func (v Semver) Compatible() error {
	if v.Major != Layout {
		return fault.Newf(fault.FailedPrecondition,
			"the catalog has version %s, this skein reads versions %d.x: use the skein that wrote it", v, Layout)
	}
	return nil
}
