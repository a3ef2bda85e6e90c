package check

import (
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Limits of a run.
const (
	pageRows     = meta.PageMax // joined rows that are in memory at once
	suspectsMax  = 10_000       // rows to look at again that are in memory at once
	findingsMax  = 1_000        // findings that a report repeats
	straysMax    = 100_000      // entries of one table whose path is not of the table
	unreadMax    = 1_000        // objects that cannot be read before a run ends
	attemptsMax  = 5            // of a change of an index that changes meanwhile
	unitsMax     = 100_000      // units of one id and day that are compared
	openShown    = 100          // open units of one table that are told
	tablesMax    = 10_000       // named by Options.Tables
	openSlack    = time.Minute  // between a unit's id and the number of its files
	unitNearness = 250 * time.Millisecond
)

// Options of a run.
type Options struct {
	Tables []string // all, and what belongs to none, if empty
	From   string   // begins with the first table that is not before it, to go on with a run that was broken off

	Policy Policy // what to do; nothing if empty
	DryRun bool   // tell what Policy would do, and change nothing

	// Footers is how many files of each table have their footers read, chosen
	// anew in each run: 1,000 if zero, none if negative.
	Footers    int
	AllFooters bool
	Deep       bool // read all bytes of both stores, with AllFooters

	MinAge     time.Duration // of an object without an entry, before it is damage; 24h if zero
	NodeExpiry time.Duration // without a heartbeat, until a node is not alive; 60s if zero
	NodeGone   time.Duration // until a node that left or fell silent is gone; 10m if zero
	Timeout    time.Duration // of the whole run; none if zero
	Parallel   int           // objects asked for at once; 16 if zero
	Dir        string        // for temporary files; that of the system if empty

	Who   string        // in the log; nobody if empty
	Now   time.Time     // now if zero
	Found func(Finding) // called for each finding, one at a time; may be nil
	// Progress is called after each page, one call at a time; may be nil.
	Progress func(Result)
}

func (o Options) complete() (Options, error) {
	if o.Footers == 0 {
		o.Footers = 1_000
	}
	o.AllFooters = o.AllFooters || o.Deep
	setDefault(&o.MinAge, 24*time.Hour)
	setDefault(&o.NodeExpiry, time.Minute)
	setDefault(&o.NodeGone, 10*time.Minute)
	setDefault(&o.Parallel, 16)
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if len(o.Tables) > tablesMax {
		return o, fault.Newf(fault.InvalidArgument, "%d tables are named, at most %d are allowed; name none for all", len(o.Tables), tablesMax)
	}
	names := slices.Clone(o.Tables)
	for i, name := range names {
		canonical, err := meta.ValidateTableName(name)
		if err != nil {
			return o, err
		}
		names[i] = canonical
	}
	slices.Sort(names)
	o.Tables = slices.Compact(names)
	return o, o.Policy.Check()
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
