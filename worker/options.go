package worker

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
)

// Deps are what a worker stands on. The caller closes them after the worker.
type Deps struct {
	Meta       meta.Store
	Objects    objstore.Store
	DB         *duck.DB // its AllowedDirs hold Options.Dir
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Peer       func(meta.Node) Peer // the worker of another node; nil if there are none
}

// Options of a worker.
type Options struct {
	NodeID string // must be given; the same after each restart, and no other node's
	Dir    string // must be given; log and temporary files

	BufferBytesMax  int64         // acknowledged rows not yet in files, of all tables; 256 MiB if zero
	UnitBytesMax    int64         // rows of one table that are committed together; 64 MiB if zero, at most a quarter of BufferBytesMax
	BufferWait      time.Duration // how long a write waits for room in the buffer; 5s if zero
	PinnedBytesMax  int64         // committed rows kept for queries that began before; 256 MiB if zero
	LogBytesMax     int64         // size of the log past which old units are flushed early; 1 GiB if zero
	SegmentBytes    int64         // of the log's files; 64 MiB if zero
	FlushesMax      int           // units flushed at once; 4 if zero
	UploadsMax      int           // files of one unit or ingest uploaded at once; 4 if zero
	IngestRowsMax   int64         // rows that an ingest puts in one file, or sorts at once (times 8); 2 Mi if zero
	IngestBytesMax  int64         // likewise in bytes of Arrow data; where files are not sorted, of all that are in memory; 512 MiB if zero
	RetryBackoffMax time.Duration // longest pause between tries of a flush; 30s if zero

	ReplicaBytesMax int64         // size of the log of other nodes' rows; 1 GiB if zero
	ReplicaTimeout  time.Duration // how long a replica may take to store rows; 5s if zero
	ReplicaWait     time.Duration // how long a write that has no replica waits for its flush; 20s if zero
	TakeoverAfter   time.Duration // silence of a node after which its replicated rows are committed; never if zero

	pinFor      time.Duration // pinTime if zero
	forgetAfter time.Duration // forgetTime if zero
	lookEvery   time.Duration // lookTime if zero
}

const (
	pinTime    = 60 * time.Second // how long a unit told by Hot can be read
	forgetTime = 10 * time.Minute // how long the catalog remembers a committed unit
)

func (o Options) withDefaults() (Options, error) {
	if o.NodeID == "" || o.Dir == "" {
		return o, fault.New(fault.InvalidArgument, "worker: node id and directory must be given")
	}
	setDefault(&o.BufferBytesMax, 256<<20)
	setDefault(&o.UnitBytesMax, 64<<20)
	o.UnitBytesMax = min(o.UnitBytesMax, max(o.BufferBytesMax/4, 1))
	setDefault(&o.BufferWait, 5*time.Second)
	setDefault(&o.PinnedBytesMax, 256<<20)
	setDefault(&o.LogBytesMax, 1<<30)
	setDefault(&o.SegmentBytes, 64<<20)
	setDefault(&o.FlushesMax, 4)
	setDefault(&o.UploadsMax, 4)
	setDefault(&o.IngestRowsMax, 2<<20)
	setDefault(&o.IngestBytesMax, 512<<20)
	setDefault(&o.RetryBackoffMax, 30*time.Second)
	setDefault(&o.ReplicaBytesMax, 1<<30)
	setDefault(&o.ReplicaTimeout, 5*time.Second)
	setDefault(&o.ReplicaWait, 20*time.Second)
	setDefault(&o.lookEvery, lookTime)
	setDefault(&o.pinFor, pinTime)
	setDefault(&o.forgetAfter, forgetTime)
	return o, nil
}

func setDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
