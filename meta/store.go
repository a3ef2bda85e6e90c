package meta

import (
	"context"
	"time"
)

// Store is the catalog. All methods may be called from many goroutines and
// many nodes at once; each is atomic and, once it has returned, durable to the
// driver's degree. Times are kept to the nanosecond, in UTC. CreateTable,
// UpdateTable, DropTable, ReplaceTable, Commit, SetRing and Record return
// ErrFenced if ctx is Fenced by a token that is not the greatest of its
// operation, and change nothing then. Those that raise the catalog's version
// heed BasedOn.
type Store interface {
	// CreateTable adds a table as given, or returns ErrTableExists;
	// InvalidArgument if t.Validate refuses it.
	CreateTable(ctx context.Context, t Table) error
	// Table returns one table with its Stats, or ErrTableNotFound.
	Table(ctx context.Context, name string) (Table, error)
	// Tables returns all tables with their Stats, ordered by name.
	Tables(ctx context.Context) ([]Table, error)
	// UpdateTable replaces Config and Schemas if the stored Revision (and UID)
	// is still t.Revision, and raises it by one; else ErrConflict, or
	// ErrTableNotFound if there is no such table. The index and Stats stay. It
	// returns the table as stored.
	UpdateTable(ctx context.Context, t Table) (Table, error)
	// DropTable removes the table, its index and statistics, if its UID is
	// still uid, and returns the files it had. ErrTableNotFound if it is gone
	// or another incarnation.
	DropTable(ctx context.Context, name, uid string) ([]File, error)

	// OpenUnit records, before the first row of a unit is acknowledged, that
	// the node may hold such rows. ErrTableNotFound if the table is gone or
	// another incarnation. Opening an open unit again is harmless, in the name
	// of another node it becomes that one's; and so is opening one that is
	// committed already: it does not become open.
	OpenUnit(ctx context.Context, table, tableUID string, u OpenUnit) error
	// Commit applies c to the index, statistics, last write and open units. A
	// unit that is committed already (and not forgotten) changes nothing and
	// is no error: repeating a commit is harmless. But it is ErrUnitTaken if it
	// is known that it was committed By another node than c.By, so that the
	// files of c are not and will not be in the index; and ErrUnitDone if that
	// is not known, as after ReplaceTable. A path in Remove that is not
	// in the index is ErrConflict and nothing changes. ErrTableNotFound if the
	// table is gone or another incarnation; InvalidArgument if c.Validate
	// refuses it. Stats.LastWrite becomes c.Time if that is later; a zero
	// c.Time leaves it.
	Commit(ctx context.Context, c Commit) error
	// ForgetUnits removes committed units from Listing.Units. Call it only
	// when the unit's log is gone and no query can still hold a Hot answer. A
	// unit or table that is gone is no error.
	ForgetUnits(ctx context.Context, table string, units []string) error
	// Units returns what Listing does but the files, cheaply, or
	// ErrTableNotFound.
	Units(ctx context.Context, table string) (Units, error)
	// Version returns the table's Listing.Version, cheaply, or
	// ErrTableNotFound. It grows with whatever changes the Listing, units
	// opened and forgotten included, and is beyond those of earlier tables of
	// the name, so what was learnt at one Version holds while it stays.
	Version(ctx context.Context, table string) (int64, error)
	// Listing returns the table's index, or ErrTableNotFound.
	Listing(ctx context.Context, table string) (Listing, error)

	// Heartbeat registers the node or renews it, at the store's own clock.
	Heartbeat(ctx context.Context, n Node) error
	// Leave takes a node out of service at once; an unknown one is no error.
	Leave(ctx context.Context, id string) error
	// Nodes returns all known nodes, ordered by ID, with Age at the store's
	// clock. Nodes that left or were reaped are kept a while as Left.
	Nodes(ctx context.Context) ([]Node, error)
	// Reap takes nodes whose last heartbeat is older than expiry out of
	// service and returns their IDs.
	Reap(ctx context.Context, expiry time.Duration) ([]string, error)
	// Ring returns the stored ring; an empty one if none was stored.
	Ring(ctx context.Context) (Ring, error)
	// SetRing stores the ring, if it differs from the stored one.
	SetRing(ctx context.Context, r Ring) error

	// Birth names the catalog: a random text of at most BirthMax bytes that it
	// gets when it is made and keeps. One that was lost and begins anew has
	// another, whatever its version.
	Birth(ctx context.Context) (string, error)
	// CatalogVersion returns the version of the whole catalog. CreateTable,
	// UpdateTable, DropTable, ReplaceTable and Record raise it, and add to the
	// history what they did, in the name of WriterOf(ctx).
	CatalogVersion(ctx context.Context) (Semver, error)
	// History returns the last changes, the newest first: at most limit, and
	// HistoryMax in any case.
	History(ctx context.Context, limit int) ([]Change, error)
	// Record adds a change that is none of a table's entry. Its Version, if it
	// has one, is a floor: the catalog's becomes greater. It returns the change
	// as recorded.
	Record(ctx context.Context, c Change) (Change, error)

	// Lock takes the lock of an operation, or renews it for its owner, until
	// ttl from now by the store's clock. The token grows with each new owner,
	// for ever. ErrLocked while another has it.
	Lock(ctx context.Context, operation, owner string, ttl time.Duration) (token int64, err error)
	// Unlock gives a lock back; one that is lost already is no error.
	Unlock(ctx context.Context, operation, owner string) error

	// ReadImage calls f with the table and its index as of one moment, which
	// hold until f returns; or ErrTableNotFound. f must not change the store.
	ReadImage(ctx context.Context, table string, f func(Image) error) error
	// StageFiles adds files beside the index of a table, which need not exist.
	// No reader sees them. Adding a path again changes nothing.
	StageFiles(ctx context.Context, table, stage string, files []File) error
	// ReplaceTable puts r.Table with the staged files in the place of the table,
	// in one step, with new statistics, if that still has r.Version and
	// r.Revision; else ErrConflict. ErrStageGone if the stage has not r.Count
	// files. It returns the table as stored.
	ReplaceTable(ctx context.Context, r Replacement) (Table, error)
	// DropStage forgets staged files; a stage that is gone is no error.
	DropStage(ctx context.Context, table, stage string) error

	// Ping tells whether the store answers.
	Ping(ctx context.Context) error
	Close() error
}

// Node is a member of the cluster.
type Node struct {
	ID            string
	Address       string // host:port of the gRPC port
	HTTPAddress   string
	Roles         []string // coordinator, worker
	Version       string   // of its program
	Protocol      int      // that it speaks; 0 if it does not say
	ActiveQueries int32
	Started       time.Time
	LastHeartbeat time.Time     // set by the store
	Age           time.Duration // since the last heartbeat, set by the store
	Left          bool          // reaped or left; kept only to be shown
}
