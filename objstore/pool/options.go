package pool

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/transfer"
)

// Endpoint is one server of a set. All endpoints of a set show the same
// objects.
type Endpoint struct {
	Name  string // for messages, such as http://minio-1:9000
	Store objstore.Store
}

// endpointsMax bounds a set.
const endpointsMax = 64

// Register is one value that all nodes agree on.
type Register interface {
	// Load returns the value and its version; version 0 if it was never set.
	Load(ctx context.Context) (version int64, value string, err error)
	// Swap stores the value as version+1 if the stored version is still
	// version, and tells whether it did.
	Swap(ctx context.Context, version int64, value string) (bool, error)
}

// Votes counts what nodes see.
type Votes interface {
	// Cast replaces the node's vote and counts those not older than window.
	Cast(ctx context.Context, node string, yes bool, window time.Duration) (ayes, voters int, err error)
}

// Lease lets one node at a time do something.
type Lease interface {
	// Acquire takes the lease or renews it; held is false while another owner
	// has it. The token grows with each new owner.
	Acquire(ctx context.Context, ttl time.Duration) (token int64, held bool, err error)
	Release(ctx context.Context) error
}

// Journal keeps what must return to the primary set, by key, as transfer.Task.
type Journal = transfer.Queue

// Agreement is what the nodes of a cluster share. All fields are needed.
type Agreement struct {
	Node    string // this node, as it votes
	Switch  Register
	Votes   Votes
	Lease   Lease
	Journal Journal
}

// Options of a Pool.
type Options struct {
	Primary   []Endpoint
	Backup    []Endpoint // none: no failover
	Agreement *Agreement // needed with Backup

	// Tuning is where nodes share what Tune changes; nil: each has its own,
	// until it stops.
	Tuning Register

	ProbeEvery   time.Duration // 1s if zero
	ProbeTimeout time.Duration // 1s if zero
	FailAfter    int           // probes in a row that fail before a node votes and asks for the backup; 3 if zero
	ReturnAfter  int           // probes in a row that succeed before the way back begins, twice as many after each relapse; 5 if zero

	TryTimeout    time.Duration // a read without its first byte for so long goes to the next endpoint, if there is one; 1s if zero
	StallTimeout  time.Duration // likewise for further bytes; 1500ms if zero
	SlowBytes     int64         // a body that comes slower, per second, is read on elsewhere if that is possible; 256 KiB if zero
	PutTimeout    time.Duration // of one try to store, and more for large objects: see PutBytes; 5s if zero
	PutBytes      int64         // each so many bytes give a try to store one more second; 4 MiB if zero
	BreakAfter    int           // failures in a row that open the circuit of an endpoint; 3 if zero
	BreakFor      time.Duration // before an open circuit lets one request through; 1s if zero
	HedgeShare    float64       // second requests for slow reads, per request; 0.05 if zero, none if negative
	HedgeMin      time.Duration // least wait before one; 20ms if zero
	LateMax       time.Duration // how long the journal waits for an object whose writer may still store it; 2m if zero
	StragglersMax int64         // records of the journal with which the way back may end while writers keep adding; 64 if zero
	ReturnCheck   transfer.Check
	Stays         func(key string) bool // objects of the backup set that are not copied to the primary set; none if nil
	// Spread says which objects are read from both sets in good times, from
	// whichever is likely to answer sooner; none if nil.
	Spread func(ctx context.Context, key string) bool

	Alert      func(Alert)           // nil: logged only
	Log        *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: no metrics
}

// Alert is an event that an operator should hear of.
type Alert struct {
	Kind    string // endpoint-down, endpoint-up, failover, returning, returned, return-failed
	Subject string // endpoint or set
	Message string
	At      time.Time
}

func (o Options) complete() (Options, error) {
	switch {
	case len(o.Primary) == 0:
		return o, fault.New(fault.InvalidArgument, "object store pool: give at least one primary endpoint")
	case len(o.Primary) > endpointsMax || len(o.Backup) > endpointsMax:
		return o, fault.Newf(fault.InvalidArgument, "object store pool: more than %d endpoints in a set", endpointsMax)
	case len(o.Backup) > 0 && o.Agreement == nil:
		return o, fault.New(fault.InvalidArgument, "object store pool: a backup needs a catalog that nodes share (--redis)")
	}
	setDefault(&o.ProbeEvery, time.Second)
	setDefault(&o.ProbeTimeout, time.Second)
	setDefault(&o.FailAfter, 3)
	setDefault(&o.ReturnAfter, 5)
	setDefault(&o.TryTimeout, time.Second)
	setDefault(&o.StallTimeout, 1500*time.Millisecond)
	setDefault(&o.SlowBytes, 256<<10)
	setDefault(&o.PutTimeout, 5*time.Second)
	setDefault(&o.PutBytes, 4<<20)
	setDefault(&o.BreakAfter, 3)
	setDefault(&o.BreakFor, time.Second)
	setDefault(&o.HedgeShare, 0.05)
	setDefault(&o.HedgeMin, 20*time.Millisecond)
	setDefault(&o.LateMax, 2*time.Minute)
	setDefault(&o.StragglersMax, 64)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func setDefault[T int | int64 | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
