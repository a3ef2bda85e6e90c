package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// States of a finding.
const (
	StateFound    = "found"    // told
	StatePlanned  = "planned"  // Options.DryRun: Did tells what would be done
	StateRepaired = "repaired" // mended, or set aside
	StateLeft     = "left"     // cannot be mended, or not by this policy: Did tells why
	StateFailed   = "failed"   // Did tells the error
	StateChanged  = "changed"  // something else changed it meanwhile: look again
)

// Finding is one damage.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Table string `json:"table,omitempty"`
	Path  string `json:"path,omitempty"` // of the object, or a unit or node
	What  string `json:"what"`           // is wrong
	State string `json:"state"`
	Did   string `json:"did,omitempty"` // what was done, or would be
}

func (f Finding) String() string {
	text := string(f.Kind)
	if f.Table != "" {
		text += " in table " + f.Table
	}
	if f.Path != "" {
		text += ": " + f.Path
	}
	text += ": " + f.What
	if f.Did != "" {
		text += "; " + f.State + ": " + f.Did
	}
	return text
}

// Count is of one kind.
type Count struct {
	Found    int64 `json:"found"`
	Repaired int64 `json:"repaired,omitempty"`
	Planned  int64 `json:"planned,omitempty"`
}

// Result is what a run has found so far, and at its end all of it.
type Result struct {
	Run     string    `json:"run"` // names the run in the log
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Who     string    `json:"who,omitempty"`
	DryRun  bool      `json:"dry_run,omitempty"`
	Policy  Policy    `json:"policy,omitempty"`
	Table   string    `json:"table,omitempty"` // that it is at; of an ended run empty

	Tables  int64 `json:"tables"`
	Files   int64 `json:"files"`   // entries of the index
	Rows    int64 `json:"rows"`    // of these
	Bytes   int64 `json:"bytes"`   // of these
	Objects int64 `json:"objects"` // of the primary store
	Footers int64 `json:"footers"` // read

	Young   int64 `json:"young,omitempty"`   // objects without an entry that may still get one
	Waiting int64 `json:"waiting,omitempty"` // objects that wait for a copy or their deletion
	Foreign int64 `json:"foreign,omitempty"` // objects whose key is not that of a data file

	Unread    int64  `json:"unread,omitempty"` // objects that could not be looked at
	UnreadWhy string `json:"unread_why,omitempty"`

	Counts   map[Kind]Count `json:"counts,omitempty"`
	Findings []Finding      `json:"findings,omitempty"` // the first of them
	Error    string         `json:"error,omitempty"`    // that ended the run
}

// Total counts the findings of all kinds.
func (r Result) Total() (c Count) {
	for _, k := range r.Counts {
		c.Found += k.Found
		c.Repaired += k.Repaired
		c.Planned += k.Planned
	}
	return c
}

// Damage counts what was found and is not mended.
func (r Result) Damage() int64 {
	c := r.Total()
	return c.Found - c.Repaired
}

// Summary is one line for people.
func (r Result) Summary() string {
	text := fmt.Sprintf("%d tables, %d files and %d rows in the index, %d objects, %d footers read: ", r.Tables, r.Files, r.Rows, r.Objects, r.Footers)
	c := r.Total()
	if c.Found == 0 {
		text += "nothing is wrong"
	} else {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", r.Counts[kind].Found, kind))
		}
		text += strings.Join(kinds, ", ")
	}
	if c.Repaired > 0 {
		text += fmt.Sprintf("; %d repaired", c.Repaired)
	}
	if c.Planned > 0 {
		text += fmt.Sprintf("; %d would be repaired", c.Planned)
	}
	if r.Unread > 0 {
		text += fmt.Sprintf("; %d objects could not be read (%s)", r.Unread, r.UnreadWhy)
	}
	return text
}

func (r Result) clone() Result {
	r.Counts, r.Findings = maps.Clone(r.Counts), slices.Clone(r.Findings)
	return r
}
