package planner

import "strings"

// StageKind is which fragments a stage has.
type StageKind int

// The kinds of stages.
const (
	One    StageKind = iota // a single fragment
	Split                   // one for each worker that has a share of the files of its split table
	Follow                  // one for each fragment of the stage that it follows, on the same worker
	Shared                  // one for each worker, with its part of the rows that are dealt out
	Ranged                  // one for each range of a key, on one worker each
)

// Stage is a SQL text that fragments run over views.
type Stage struct {
	ID        int
	Kind      StageKind
	SQL       string
	Why       string // for One: what kept the query from being divided further
	Tables    []StageTable
	Reads     []Read
	Narrow    []Narrowing // of Split and Ranged: what leaves files out when earlier stages are kept
	Bounds    []string    // columns whose bounds later stages need
	Follow    int         // of Follow: the stage
	Worker    string      // of One: which should run it
	Fragments []Fragment  // of Split: who reads which files; of Ranged: who has which part
	Apart     bool        // of Split: a fragment's rows are those of its files one by one, in any order
	Cuts      []string    // of Ranged: SQL of the keys at which the parts after the first begin

	columns []Column
	tree    node
	serial  int  // of all stages ever made for the plan
	scan    bool // its columns have the names of the table's
	sizes   []float64
	bytes   float64 // guess of what its rows take
}

// StageTable is a table that a stage's fragments read.
type StageTable struct {
	View, Table string
	Files       []File
	Split       bool   // each fragment reads its share; else each reads all
	Key         string // of Ranged: SQL of the column by which a fragment reads the rows of its range
	Parts       []Part // with Key: each fragment's files
}

// Read is the rows of an earlier stage that a stage reads.
type Read struct {
	View  string
	Stage int
	Keys  []string // SQL over the rows' columns, by whose hash they are dealt out; empty: each fragment reads all
	Own   bool     // each fragment reads what the one that it follows kept
	Near  bool     // each fragment reads what its worker keeps, and its share of what others do
	Only  string   // the column that is read; empty: all

	Ranged bool // by ranges of the only key, not by its hash
}

// view is what the stage's rows are called while later stages are planned.
func (s *Stage) view() string { return "rows " + itoa(s.serial) }

func (s *Stage) stored(i int) string {
	if s.scan {
		return s.columns[i].Name
	}
	return stored(i)
}

// storedColumns are the columns under the names that they are kept by.
func (s *Stage) storedColumns() []Column {
	all := make([]Column, len(s.columns))
	for i, c := range s.columns {
		all[i] = Column{Name: s.stored(i), Type: c.Type}
	}
	return all
}

// tableView is a name for one more table of the stage.
func (s *Stage) tableView(table string) string {
	name, n := table, 1
	for taken := true; taken; {
		taken = false
		for _, t := range s.Tables {
			taken = taken || t.View == name
		}
		if taken {
			n++
			name = table + " " + itoa(n)
		}
	}
	return name
}

// readView notes a read, and returns the name of its view.
func (s *Stage) readView(r Read) string {
	for _, known := range s.Reads {
		if known.Stage == r.Stage && known.Own == r.Own && known.Near == r.Near && known.Only == r.Only && known.Ranged == r.Ranged && strings.Join(known.Keys, ",") == strings.Join(r.Keys, ",") {
			return known.View
		}
	}
	r.View = "stage " + itoa(r.Stage)
	for _, known := range s.Reads {
		if known.Stage == r.Stage {
			r.View += " again"
		}
	}
	s.Reads = append(s.Reads, r)
	return r.View
}

// shrink guesses how much less an aggregation's results are than its rows.
func (s *Stage) shrink(grouped bool) {
	if s.bytes *= groupShare; !grouped {
		s.bytes = 100
	}
}

// answer makes the stage the last one, whose columns have their own names.
func (s *Stage) answer(columns []Column) {
	items := make([]any, len(columns))
	for i, c := range columns {
		items[i] = as(column(stored(i)), c.Name)
	}
	s.tree["select_list"] = items
}
