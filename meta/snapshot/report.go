package snapshot

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Actions of a restore on a table.
const (
	ActionNone    = ""
	ActionCreate  = "create"
	ActionReplace = "replace"
	ActionDrop    = "drop"
)

const examplesMax = 5 // files that a report names, for each table

// Report is what a restore did, or would do.
type Report struct {
	DryRun   bool
	At       time.Time // of the snapshot
	Version  meta.Semver
	Checksum string
	Before   meta.Semver // the catalog's version
	After    meta.Semver // none after a dry run
	Tables   []TableReport
}

// TableReport is how one table differs. Tables that do not are left out.
type TableReport struct {
	Table                 string
	Action                string
	Added, Removed        int64 // files of the index
	Missing               int64 // files of the snapshot without an object, left out
	RowsBefore, RowsAfter int64
	LastWrite             time.Time // of the table as it was
	Settings              []string  // that differ
	Examples              []string
}

func (t *TableReport) example(sign string, f meta.File) {
	if len(t.Examples) < examplesMax {
		t.Examples = append(t.Examples, fmt.Sprintf("%s %s (%d rows)", sign, f.Path, f.Rows))
	}
}

// String is the report for people, a few lines for each table.
func (r Report) String() string {
	var b strings.Builder
	how := "restored"
	if r.DryRun {
		how = "would be restored, nothing is changed"
	}
	fmt.Fprintf(&b, "snapshot of %s, version %s (catalog: %s): %s\n", r.At.UTC().Format(time.RFC3339), r.Version, r.Before, how)
	if len(r.Tables) == 0 {
		b.WriteString("  no table differs\n")
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "  %-8s %s: +%d -%d files, %d -> %d rows\n", t.Action, t.Table, t.Added, t.Removed, t.RowsBefore, t.RowsAfter)
		if t.Missing > 0 {
			fmt.Fprintf(&b, "           %d files have no object and are left out\n", t.Missing)
		}
		for _, line := range append(t.Settings, t.Examples...) {
			fmt.Fprintf(&b, "           %s\n", line)
		}
		if more := t.Added - int64(len(t.Examples)); more > 0 && len(t.Examples) > 0 {
			fmt.Fprintf(&b, "           + %d more\n", more)
		}
	}
	return b.String()
}

// pattern is one of index keys.
type pattern struct{ re *regexp.Regexp }

const patternMax = 1_024 // bytes

func newPattern(text string) (pattern, error) {
	if !strings.HasPrefix(text, "index:table:") || len(text) > patternMax {
		return pattern{}, fault.Newf(fault.InvalidArgument,
			"key pattern %.80q: give one of index:table:TABLE:id:ID:YYYY-MM-DD, with * for any text and ? for any character, at most %d bytes", text, patternMax)
	}
	quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text))
	re, err := regexp.Compile("(?s)^" + quoted + "$")
	if err != nil {
		return pattern{}, fault.Newf(fault.InvalidArgument, "key pattern %.80q: %w", text, err)
	}
	return pattern{re}, nil
}

func (p pattern) match(key string) bool { return p.re.MatchString(key) }
