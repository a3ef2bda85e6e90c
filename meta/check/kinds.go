package check

import (
	"maps"
	"slices"
	"strings"

	"skein/internal/fault"
)

// Kind is a kind of damage.
type Kind string

// The kinds of damage.
const (
	Missing       Kind = "missing-object"    // an entry of the index without an object in the primary store
	Orphan        Kind = "orphan-object"     // an object without an entry
	WrongSize     Kind = "wrong-size"        // an object of another size than its entry says
	WrongRows     Kind = "wrong-rows"        // a file with another number of rows
	Damaged       Kind = "damaged-object"    // an object that is no Parquet file, is another file, or has other bytes than were stored
	WrongBounds   Kind = "wrong-bounds"      // an entry whose id, day, times or column ranges leave rows of the file out
	WrongPath     Kind = "wrong-path"        // a file at a path that is not of its table, id and day
	WrongSchema   Kind = "wrong-schema"      // a file of a schema version that the table has not, or with other columns
	Doubled       Kind = "doubled-file"      // two files of one unit, id and day
	BackupMissing Kind = "backup-missing"    // a file of a table with backup_enabled that is not in the backup
	BackupDiffers Kind = "backup-differs"    // a file that is another one in the backup
	Statistics    Kind = "wrong-statistics"  // a table's statistics are not the sum of its index
	WrongRing     Kind = "wrong-ring"        // points of nodes that are gone, or none of a node that lives
	LostUnit      Kind = "unit-of-lost-node" // unflushed rows on a node that is gone
)

// Action is what is done about damage.
type Action string

// The actions.
const (
	Report     Action = "report"     // tell
	Repair     Action = "repair"     // mend without losing a row
	Quarantine Action = "quarantine" // set the object aside
	Remove     Action = "remove"     // mend if possible; else take the entry out of the index, which loses its rows, and set the object aside
)

// actions says what may be done about each kind; the last one is what All does.
var actions = map[Kind][]Action{
	Missing:       {Report, Remove, Repair},
	Orphan:        {Report, Quarantine},
	WrongSize:     {Report, Remove, Repair},
	WrongRows:     {Report, Remove, Repair},
	Damaged:       {Report, Remove, Repair},
	WrongBounds:   {Report, Repair},
	WrongPath:     {Report, Repair},
	WrongSchema:   {Report, Remove, Repair},
	Doubled:       {Report, Repair},
	BackupMissing: {Report, Repair},
	BackupDiffers: {Report, Repair},
	Statistics:    {Report, Repair},
	WrongRing:     {Report, Repair},
	LostUnit:      {Report},
}

// Kinds are all kinds, ordered by name.
func Kinds() []Kind { return slices.Sorted(maps.Keys(actions)) }

// Policy is what to do about each kind; those that it does not name are
// reported. The zero value changes nothing.
type Policy map[Kind]Action

// All is the policy that mends whatever can be mended without losing a row.
func All() Policy {
	p := Policy{}
	for kind, may := range actions {
		p[kind] = may[len(may)-1]
	}
	return p
}

// Check refuses, as InvalidArgument, kinds that there are not and actions that
// they have not.
func (p Policy) Check() error {
	for kind, action := range p {
		may, ok := actions[kind]
		if !ok {
			return fault.Newf(fault.InvalidArgument, "kind of damage %.40q is not known; the kinds are %s", string(kind), join(Kinds()))
		}
		if !slices.Contains(may, action) {
			return fault.Newf(fault.InvalidArgument, "action %.40q for %s: use one of %s", string(action), kind, join(may))
		}
	}
	return nil
}

// Changes tells whether the policy does more than report.
func (p Policy) Changes() bool {
	for _, action := range p {
		if action != Report {
			return true
		}
	}
	return false
}

func (p Policy) of(k Kind) Action {
	if a := p[k]; a != "" {
		return a
	}
	return Report
}

func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}
