package flight

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/internal/fault"
)

// transactions are those that clients have begun. A transaction here is one
// that only reads, each statement the rows that are there when it runs; what
// changes something is refused in it, because it could not be taken back.
// Servers' information says so: drivers that look there stay in autocommit.
type transactions struct {
	max  int
	idle time.Duration

	mu   sync.Mutex
	used map[string]time.Time // by id
}

func newTransactions(o Options) *transactions {
	return &transactions{max: o.PreparedMax, idle: o.PreparedIdle, used: map[string]time.Time{}}
}

// begin returns the id of a new transaction. Clients that vanish end none, so
// there is a limit: past it the one that was idle longest goes.
func (t *transactions) begin() []byte {
	id := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.used) >= t.max {
		t.trim()
	}
	t.used[id] = time.Now()
	return []byte(id)
}

// trim drops those that are idle for too long; if there are none, the one that
// is idle longest.
func (t *transactions) trim() {
	oldest, before := "", len(t.used)
	for id, used := range t.used {
		if time.Since(used) > t.idle {
			delete(t.used, id)
		} else if oldest == "" || used.Before(t.used[oldest]) {
			oldest = id
		}
	}
	if len(t.used) == before {
		delete(t.used, oldest)
	}
}

// check refuses a transaction that is not open; nil is none and fine.
func (t *transactions) check(id []byte) error {
	if len(id) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	used, ok := t.used[string(id)]
	if !ok || time.Since(used) > t.idle {
		delete(t.used, string(id))
		return fault.New(fault.NotFound, "unknown transaction: it was ended, or unused for too long")
	}
	t.used[string(id)] = time.Now()
	return nil
}

func (t *transactions) end(id []byte) error {
	if len(id) == 0 {
		return fault.New(fault.InvalidArgument, "no transaction is named")
	}
	if err := t.check(id); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.used, string(id))
	return nil
}

// noChanges refuses what changes something in a transaction.
func noChanges() error {
	return fault.New(fault.Unimplemented, "a transaction only reads: run what changes something outside of it, each statement takes effect whole or not at all")
}

// BeginTransaction implements flightsql.Server.
func (s *sqlServer) BeginTransaction(context.Context, flightsql.ActionBeginTransactionRequest) ([]byte, error) {
	return s.transactions.begin(), nil
}

// EndTransaction implements flightsql.Server. There is nothing to take back, so
// both ends are alike.
func (s *sqlServer) EndTransaction(_ context.Context, r flightsql.ActionEndTransactionRequest) error {
	switch r.GetAction() {
	case flightsql.EndTransactionCommit, flightsql.EndTransactionRollback:
		return s.transactions.end(r.GetTransactionId())
	}
	return fault.New(fault.InvalidArgument, "the end of a transaction is to commit or to roll back")
}

// BeginSavepoint implements flightsql.Server.
func (s *sqlServer) BeginSavepoint(context.Context, flightsql.ActionBeginSavepointRequest) ([]byte, error) {
	return nil, noSavepoints()
}

// EndSavepoint implements flightsql.Server.
func (s *sqlServer) EndSavepoint(context.Context, flightsql.ActionEndSavepointRequest) error {
	return noSavepoints()
}

func noSavepoints() error {
	return fault.New(fault.Unimplemented, "savepoints are not supported: a transaction only reads, so that there is nothing to go back to")
}
