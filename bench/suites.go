package bench

import "fmt"

// The suites.
const (
	SuiteTPCH    = "tpch"    // a running server beside DuckDB
	SuiteWrites  = "writes"  // likewise
	SuitePlan    = "plan"    // starts its own server: what planning costs
	SuiteDivide  = "divide"  // starts its own clusters: how the work divides over workers
	SuiteLinks   = "links"   // likewise, with slow links to the object store
	SuiteStream  = "stream"  // starts its own servers: large results and bulk loads beside DuckDB
	SuiteBackup  = "backup"  // starts its own servers: a backup beside a plain copy
	SuiteCatalog = "catalog" // starts a Redis: snapshots and restores of a large index
)

// suite is what a run needs for one of them.
type suite struct {
	name    string
	server  bool // a running one
	data    bool // TPC-H
	program bool // to start servers with
	workers []int
}

// suites are all of them, in the order in which they run.
func suites() []suite {
	return []suite{
		{name: SuiteTPCH, server: true, data: true},
		{name: SuiteWrites, server: true},
		{name: SuitePlan, data: true, program: true},
		{name: SuiteDivide, data: true, program: true, workers: []int{1, 4}},
		{name: SuiteStream, data: true, program: true},
		{name: SuiteLinks, data: true, program: true, workers: []int{1, 2, 4}},
		{name: SuiteBackup, program: true},
		{name: SuiteCatalog},
	}
}

// Targets that the suites judge by.
const (
	planTPCHMax     = 3.0  // ms, of the median over all statements
	planPointMax    = 5.0  // ms, of the median
	shareMax        = 0.35 // of the busiest of four workers against one
	throughMax      = 0.01 // of the bytes read, through the coordinator
	linksSpeedupMin = 3.3  // of four workers against one
	targetWorkers   = 4
)

// Target is a figure that a suite wants to be at most, or at least, another.
type Target struct {
	Name  string  `json:"name"`
	Got   float64 `json:"got"`
	Want  float64 `json:"want"`
	Least bool    `json:"least"` // Want is the least, not the most
	Met   bool    `json:"met"`
}

func (t Target) String() string {
	bound, verdict := "at most", "missed"
	if t.Least {
		bound = "at least"
	}
	if t.Met {
		verdict = "met"
	}
	return fmt.Sprintf("%s: %.3g, wanted %s %.3g: %s", t.Name, t.Got, bound, t.Want, verdict)
}

func atMost(name string, got, want float64) Target {
	return Target{Name: name, Got: got, Want: want, Met: got <= want}
}

func atLeast(name string, got, want float64) Target {
	return Target{Name: name, Got: got, Want: want, Least: true, Met: got >= want}
}
