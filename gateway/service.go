package gateway

import (
	"context"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/grpc"

	"skein/coordinator"
	"skein/internal/batch"
	"skein/meta"
	olapv1 "skein/proto/olap/v1"
)

// Coordinator is what the front door asks of the engine. Its errors are
// classified by fault.
type Coordinator interface {
	// Prepare binds a statement without running it.
	Prepare(ctx context.Context, sql string) (*coordinator.Statement, error)
	// Query runs a statement that returns rows. ctx lives until Close.
	Query(ctx context.Context, sql string, params arrow.RecordBatch) (batch.Reader, error)
	// Execute runs a statement that returns none; -1 if the count is not known.
	Execute(ctx context.Context, sql string, params arrow.RecordBatch) (changed int64, err error)
	// Write stores records durably. If the error has the detail "record", which
	// tells a bad record's place from 0, none is stored.
	Write(ctx context.Context, table string, records []coordinator.Record) error

	CreateTable(ctx context.Context, name string, cfg meta.Config, ifNotExists bool) (created bool, err error)
	DropTable(ctx context.Context, name string, o coordinator.DropOptions) (filesDeleted int, existed bool, err error)
	ListTables(ctx context.Context, pattern string, page, limit int) (coordinator.TablePage, error)
	DescribeTable(ctx context.Context, name string) (meta.Table, error)

	Health(ctx context.Context, components []string) (coordinator.Health, error)
	Stats(ctx context.Context, window time.Duration) (coordinator.Stats, error)
	Nodes(ctx context.Context, includeInactive bool) ([]meta.Node, error)
}

// Options of a Service.
type Options struct {
	QueryTimeout   time.Duration    // of a query, its rows included; 5m if zero
	RequestTimeout time.Duration    // of any other call, and of each batch of a stream; 1m if zero
	BackupTimeout  time.Duration    // of a backup or a restore; 24h if zero
	ResultBytesMax int              // of result_json; 64 MiB if zero
	Now            func() time.Time // time of arrival; time.Now if nil

	Backups Backups // nil: there is no backup store
	Catalog Catalog // nil: nobody looks after the catalog
	Checks  Checks  // nil: nobody checks the catalog
	Nodes   Nodes   // nil: no node can be given up
	Pool    Pool    // nil: the object store has no pool
	// Details tell more of a component of HealthCheck that answers, by its
	// name, and whether it lacks something.
	Details map[string]func(ctx context.Context) (degraded bool, message string)
}

const (
	defaultQueryTimeout   = 5 * time.Minute
	defaultRequestTimeout = time.Minute
	defaultBackupTimeout  = 24 * time.Hour
	defaultResultBytesMax = 64 << 20
)

// Service implements OlapService, IngestService, AdminService and MetaService.
type Service struct {
	olapv1.UnimplementedOlapServiceServer
	olapv1.UnimplementedIngestServiceServer
	olapv1.UnimplementedAdminServiceServer
	olapv1.UnimplementedMetaServiceServer
	coord Coordinator
	opts  Options
}

// NewService returns the service over a coordinator.
func NewService(coord Coordinator, o Options) *Service {
	if o.QueryTimeout == 0 {
		o.QueryTimeout = defaultQueryTimeout
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.BackupTimeout == 0 {
		o.BackupTimeout = defaultBackupTimeout
	}
	if o.ResultBytesMax == 0 {
		o.ResultBytesMax = defaultResultBytesMax
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{coord: coord, opts: o}
}

// Register adds the services to a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	olapv1.RegisterOlapServiceServer(r, s)
	olapv1.RegisterIngestServiceServer(r, s)
	olapv1.RegisterAdminServiceServer(r, s)
	olapv1.RegisterMetaServiceServer(r, s)
}
