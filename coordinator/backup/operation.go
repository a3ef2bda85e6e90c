package backup

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
)

// States of an operation.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
	Lost    = "lost" // its node has not told of it for a while
)

// Kinds of operations.
const (
	KindBackup  = "backup"
	KindVerify  = "verify"
	KindRestore = "restore"
)

const (
	operationsMax = 100                    // in the list
	examplesMax   = 10                     // of problems
	exampleBytes  = 300                    // of one
	reportEvery   = 100 * time.Millisecond // to the caller
	keepEvery     = 2 * time.Second        // in the list
	lostAfter     = 30 * time.Second
	keepTimeout   = 5 * time.Second
	keepTries     = 8
)

// Operation is one backup, verify or restore.
type Operation struct {
	ID, Kind, Table string // Table is empty for several
	State, Node     string
	Started         time.Time
	Updated         time.Time
	DryRun          bool
	FilesTotal      int64
	Files, Bytes    int64 // looked at
	Copied, Moved   int64 // files and bytes; with DryRun they would be
	Rows            int64 // verified
	Problems        int64 // files that are missing or wrong
	Examples        []string
	Message         string
}

// tracker is an operation that runs.
type tracker struct {
	mu sync.Mutex
	op Operation
}

func (t *tracker) change(f func(op *Operation)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.op)
}

func (t *tracker) now() Operation {
	t.mu.Lock()
	defer t.mu.Unlock()
	op := t.op
	op.Examples = slices.Clone(op.Examples)
	op.Updated = time.Now().UTC()
	return op
}

// problem notes a file that is missing or wrong.
func (t *tracker) problem(text string) {
	t.change(func(op *Operation) {
		op.Problems++
		if len(op.Examples) < examplesMax {
			op.Examples = append(op.Examples, text[:min(len(text), exampleBytes)])
		}
	})
}

// run does work as an operation of the list, and tells report how it goes, one
// call at a time. report may be nil.
func (s *Service) run(ctx context.Context, kind string, r Request, report func(Operation), work func(context.Context, *tracker) (string, error)) (Operation, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return Operation{}, fault.Newf(fault.ResourceExhausted, "%d backups or restores run on this node already; try again later", cap(s.places)).RetryIn(5 * time.Second)
	}
	if report == nil {
		report = func(Operation) {}
	}
	t := &tracker{op: Operation{ID: ulid.Make().String(), Kind: kind, Table: r.Table, State: Running, Node: s.o.Node, Started: time.Now().UTC(), DryRun: r.DryRun}}
	s.keepOperation(ctx, t.now())
	ticking, stop := context.WithCancel(ctx)
	var ticks sync.WaitGroup
	ticks.Go(func() { s.tick(ticking, t, report) })
	message, err := work(ctx, t)
	stop()
	ticks.Wait()
	t.change(func(op *Operation) {
		op.State, op.Message = Done, message
		if err != nil {
			op.State, op.Message = Failed, err.Error()
		}
	})
	op := t.now()
	s.keepOperation(context.WithoutCancel(ctx), op)
	s.Log.Info("backup operation", "kind", kind, "table", r.Table, "state", op.State, "files", op.Files, "copied", op.Copied, "problems", op.Problems, "message", op.Message)
	if err == nil {
		report(op)
	}
	return op, err
}

func (s *Service) tick(ctx context.Context, t *tracker, report func(Operation)) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	kept := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		op := t.now()
		report(op)
		if time.Since(kept) > keepEvery {
			kept = time.Now()
			s.keepOperation(ctx, op)
		}
	}
}

// keepOperation puts the operation into the list. It is no reason to fail if
// that cannot be done.
func (s *Service) keepOperation(ctx context.Context, op Operation) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	for range keepTries {
		version, all, err := s.loadOperations(ctx)
		if err != nil {
			s.Log.Debug("list of operations cannot be read", "error", err)
			return
		}
		all = slices.DeleteFunc(all, func(o Operation) bool { return o.ID == op.ID })
		all = append(all, op)
		slices.SortFunc(all, func(a, b Operation) int { return b.Started.Compare(a.Started) })
		text, err := json.Marshal(all[:min(len(all), operationsMax)])
		if err != nil {
			panic("BUG: operations have no JSON: " + err.Error())
		}
		if won, err := s.Operations.Swap(ctx, version, string(text)); won || err != nil {
			return
		}
	}
}

func (s *Service) loadOperations(ctx context.Context) (version int64, all []Operation, err error) {
	version, text, err := s.Operations.Load(ctx)
	if err != nil || text == "" {
		return version, nil, err
	}
	_ = json.Unmarshal([]byte(text), &all) // a list that cannot be read begins anew
	return version, all, nil
}

// List tells what runs on any node and what ran lately, the newest first.
func (s *Service) List(ctx context.Context) ([]Operation, error) {
	_, all, err := s.loadOperations(ctx)
	for i := range all {
		if all[i].State == Running && time.Since(all[i].Updated) > lostAfter {
			all[i].State = Lost
		}
	}
	return all, err
}
