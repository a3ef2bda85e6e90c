package check

import (
	"context"
	"io"
	"iter"
	"time"

	"skein/meta"
)

// Catalog is what a check needs of meta.Store.
type Catalog interface {
	Tables(ctx context.Context) ([]meta.Table, error)
	Version(ctx context.Context, table string) (int64, error)
	ReadImage(ctx context.Context, table string, f func(meta.Image) error) error
	Nodes(ctx context.Context) ([]meta.Node, error)
	Ring(ctx context.Context) (meta.Ring, error)
	History(ctx context.Context, limit int) ([]meta.Change, error)
	CatalogVersion(ctx context.Context) (meta.Semver, error)
	Birth(ctx context.Context) (string, error)

	SetRing(ctx context.Context, r meta.Ring) error
	StageFiles(ctx context.Context, table, stage string, files []meta.File) error
	ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error)
	DropStage(ctx context.Context, table, stage string) error
	Record(ctx context.Context, c meta.Change) (meta.Change, error)
}

// Object is one that a store has.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Objects is an object store. What it has not is fault.NotFound.
type Objects interface {
	// List yields the objects whose key begins with prefix, ordered by key. It
	// ends after the first error, which it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	Stat(ctx context.Context, key string) (Object, error)
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	Delete(ctx context.Context, key string) error
	// Footer reads what the object tells of itself, as a file that was written
	// with the schema and has the entry f. What is no Parquet file is
	// FailedPrecondition.
	Footer(ctx context.Context, o Object, f meta.File, s meta.Schema) (Footer, error)
	// Intact reads all bytes; FailedPrecondition if they are not those that
	// were stored.
	Intact(ctx context.Context, key string) error
}

// Mirror is the backup of a primary store.
type Mirror interface {
	Objects
	// Save copies an object from the primary store to the backup, Fetch back.
	Save(ctx context.Context, key string) error
	Fetch(ctx context.Context, key string) error
	// Same compares the checksums of both; FailedPrecondition if they differ.
	Same(ctx context.Context, key string) error
}

// Footer is what a data file tells of itself.
type Footer struct {
	Rows    int64
	Columns []Column    // top level
	Ranges  meta.Ranges // as the index should have them

	TimesKnown       bool // of the table's time column
	MinTime, MaxTime time.Time
	NullTimes        bool

	IDKnown bool   // whether all rows have one id
	ID      string // that they have; empty if there are several, or none

	Path string // that the file was written for; empty if it does not tell
}

// Column of a data file.
type Column struct {
	Name string
	Kind string // a plain DuckDB type, STRUCT, LIST or MAP; empty if not known
}

// Deps are what a check works with.
type Deps struct {
	Catalog Catalog
	Primary Objects
	Backup  Mirror // nil: none
	// Waiting tells of which of the objects a copy or deletion is still to be
	// done: nothing is wrong with them yet. Nil: there is no such queue.
	Waiting func(ctx context.Context, keys []string) (map[string]bool, error)
	// Still refuses, by meta.ErrFenced, to take objects away once another one
	// may repair. Nil: none ever does.
	Still func(ctx context.Context) error
}
