package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	Canceled = "canceled"
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
	Canceling       bool // it runs, and was asked to end
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

// Why operations end before their time.
var (
	errCanceled = fault.New(fault.Canceled, "it was canceled; what is done stays, and the same request goes on there")
	errStopped  = fault.New(fault.Unavailable, "the node stopped; ask again, it goes on where it was")
	errTooLong  = fault.New(fault.DeadlineExceeded, "it took too long; ask again, it goes on where it was")
)

// run does work as an operation of the list, and tells report how it goes, one
// call at a time. report may be nil. The operation does not end with ctx: who
// asked for it need not wait.
func (s *Service) run(ctx context.Context, kind string, r Request, report func(Operation), work func(context.Context, *tracker) (string, error)) (Operation, error) {
	select {
	case s.places <- struct{}{}:
	default:
		return Operation{}, fault.Newf(fault.ResourceExhausted, "%d backups or restores run on this node already; try again later", cap(s.places)).RetryIn(5 * time.Second)
	}
	if s.stopped.Err() != nil {
		<-s.places
		return Operation{}, errStopped
	}
	if report == nil {
		report = func(Operation) {}
	}
	t := &tracker{op: Operation{ID: ulid.Make().String(), Kind: kind, Table: r.Table, State: Running, Node: s.o.Node, Started: time.Now().UTC(), DryRun: r.DryRun}}
	s.keepOperation(ctx, t.now())
	report(t.now())
	var err error
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		defer func() { <-s.places }()
		err = s.operate(context.WithoutCancel(ctx), t, work)
	})
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			report(t.now())
		case <-done:
			if op := t.now(); err == nil {
				report(op)
			}
			return t.now(), err
		case <-ctx.Done():
			op := t.now()
			return op, fault.Wrap(fault.CodeOf(ctx.Err()), fmt.Errorf("%s %s goes on without you, ListOperations tells how: %w", kind, op.ID, ctx.Err()))
		}
	}
}

// operate does the work, with its own end.
func (s *Service) operate(ctx context.Context, t *tracker, work func(context.Context, *tracker) (string, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.stopped, func() { cancel(errStopped) })()
	limited, free := context.WithTimeoutCause(ctx, s.o.TimeMax, errTooLong)
	defer free()
	id := t.now().ID
	s.mu.Lock()
	s.cancels[id] = cancel
	s.mu.Unlock()
	ticking, stop := context.WithCancel(limited)
	var ticks sync.WaitGroup
	ticks.Go(func() { s.tick(ticking, t) })
	message, err := work(limited, t)
	stop()
	ticks.Wait()
	s.mu.Lock()
	delete(s.cancels, id)
	s.mu.Unlock()
	if err != nil && limited.Err() != nil {
		err = context.Cause(limited)
	}
	t.change(func(op *Operation) {
		switch op.Message = message; {
		case err == nil:
			op.State = Done
		case errors.Is(err, errCanceled):
			op.State, op.Message = Canceled, err.Error()
		default:
			op.State, op.Message = Failed, err.Error()
		}
	})
	op := t.now()
	s.keepOperation(context.WithoutCancel(ctx), op)
	s.Log.Info("backup operation", "id", op.ID, "kind", op.Kind, "table", op.Table, "state", op.State, "files", op.Files, "copied", op.Copied, "problems", op.Problems, "message", op.Message)
	return err
}

// tick keeps the list up to date, and ends the operation if the list says so.
func (s *Service) tick(ctx context.Context, t *tracker) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if op := t.now(); s.keepOperation(ctx, op) {
			s.cancelHere(op.ID)
		}
	}
}

// cancelHere ends an operation if it runs on this node.
func (s *Service) cancelHere(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.cancels[id]; cancel != nil {
		cancel(errCanceled)
	}
}

// Cancel ends an operation, on whatever node it runs: there within two seconds
// or so. What it has done stays. It returns the operation as it was.
func (s *Service) Cancel(ctx context.Context, id string) (Operation, error) {
	for range keepTries {
		version, all, err := s.loadOperations(ctx)
		if err != nil {
			return Operation{}, err
		}
		i := slices.IndexFunc(all, func(o Operation) bool { return o.ID == id })
		if i < 0 {
			return Operation{}, fault.Newf(fault.NotFound, "operation %.40q is not in the list", id)
		}
		if op := all[i].seen(); op.State != Running {
			return op, fault.Newf(fault.FailedPrecondition, "operation %s is %s already", id, op.State)
		}
		all[i].Canceling = true
		won, err := s.Operations.Swap(ctx, version, listText(all))
		if err != nil {
			return all[i], err
		}
		if won {
			s.cancelHere(id)
			return all[i], nil
		}
	}
	return Operation{}, fault.New(fault.Aborted, "the list of operations changes too often; try again")
}

// keepOperation puts the operation into the list, and tells whether somebody
// wants it to end. It is no reason to fail if that cannot be done.
func (s *Service) keepOperation(ctx context.Context, op Operation) (cancel bool) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer done()
	for range keepTries {
		version, all, err := s.loadOperations(ctx)
		if err != nil {
			s.Log.Debug("list of operations cannot be read", "error", err)
			return cancel
		}
		if i := slices.IndexFunc(all, func(o Operation) bool { return o.ID == op.ID }); i >= 0 {
			cancel = all[i].Canceling
			all = slices.Delete(all, i, i+1)
		}
		op.Canceling = cancel && op.State == Running
		all = append(all, op)
		slices.SortFunc(all, func(a, b Operation) int { return b.Started.Compare(a.Started) })
		if won, err := s.Operations.Swap(ctx, version, listText(all)); won || err != nil {
			return cancel
		}
	}
	return cancel
}

func listText(all []Operation) string {
	text, err := json.Marshal(all[:min(len(all), operationsMax)])
	if err != nil {
		panic("BUG: operations have no JSON: " + err.Error())
	}
	return string(text)
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
		all[i] = all[i].seen()
	}
	return all, err
}

// seen is the operation as others see it.
func (op Operation) seen() Operation {
	if op.State == Running && time.Since(op.Updated) > lostAfter {
		op.State = Lost
	}
	return op
}
