package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"skein/coordinator/backup"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/redismeta"
	"skein/meta/snapshot"
	"skein/objstore"
	"skein/objstore/local"
	"skein/objstore/pool"
	"skein/objstore/s3"
	"skein/objstore/transfer"
)

// closingObjects is an object store that is closed at the end.
type closingObjects interface {
	objstore.Store
	io.Closer
}

// stores is where a node keeps things. Above them all is the same, whatever
// they are.
type stores struct {
	catalog meta.Store
	objects closingObjects

	redis     *redismeta.Store // nil: the catalog is a file
	pool      *pool.Pool       // nil: one endpoint or files
	backups   *backups         // nil without --s3-backup
	endpoints []endpointRoom   // none: objects are files
	rooms     *rooms           // nil before the first check, and for files
	alert     func(pool.Alert)
}

// backups is what is between the two object stores.
type backups struct {
	queue   *redismeta.Queue // of objects on their way to the backup
	mover   *transfer.Mover
	service *backup.Service
}

const (
	backupTasks        = 4 // of one node at once
	defaultBackupGrace = 7 * 24 * time.Hour
)

// openStores opens the catalog, in Redis or in the data directory, and the
// objects, in S3 or in the data directory.
func openStores(ctx context.Context, c Config, nodeID string, alert func(pool.Alert), log *slog.Logger, reg prometheus.Registerer) (*stores, error) {
	s := &stores{alert: alert}
	if err := s.openCatalog(ctx, c); err != nil {
		return nil, err
	}
	if err := s.openObjects(ctx, c, nodeID, log, reg); err != nil {
		return nil, errors.Join(err, s.catalog.Close())
	}
	return s, nil
}

func (s *stores) close() error { return errors.Join(s.objects.Close(), s.catalog.Close()) }

func (s *stores) openCatalog(ctx context.Context, c Config) (err error) {
	if c.Redis == "" {
		s.catalog, err = boltmeta.Open(c.dir("catalog.db"), boltmeta.Options{})
		return err
	}
	s.redis, err = redismeta.Open(ctx, c.Redis, redismeta.Options{
		PoolSize: c.RedisPoolSize, PoolMin: c.RedisPoolMin, Timeout: c.RedisTimeout, Replicas: c.RedisReplicas,
	})
	s.catalog = s.redis
	return err
}

func (s *stores) openObjects(ctx context.Context, c Config, nodeID string, log *slog.Logger, reg prometheus.Registerer) (err error) {
	primary := s3.Options{AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, Bucket: c.Bucket, Registerer: reg}
	switch {
	case len(c.S3) == 0:
		s.objects, err = local.Open(c.DataDir, local.Options{}) // in DATA-DIR/objects
		return err
	case len(c.S3Backup) > 0 && s.redis == nil:
		return fault.New(fault.InvalidArgument, "--s3-backup needs --redis: the switch between the object stores is kept there")
	case len(c.S3) == 1 && len(c.S3Backup) == 0:
		primary.Endpoint = c.S3[0]
		store, err := s3.Open(ctx, primary)
		if err == nil {
			s.objects, s.endpoints = store, []endpointRoom{{set: "primary", name: store.Endpoint(), store: store}}
		}
		return err
	}
	o := pool.Options{Alert: s.alert, Log: log, Registerer: reg}
	if s.redis != nil {
		o.Tuning = s.redis.Register("pool:minio:tuning")
	}
	p := &pooled{}
	if o.Primary, err = p.open(ctx, c.S3, primary, log); err != nil {
		return errors.Join(err, p.closeStores())
	}
	if len(c.S3Backup) > 0 {
		second := s3.Options{AccessKey: c.S3BackupAccessKey, SecretKey: c.S3BackupSecretKey, Bucket: c.BackupBucket, Registerer: reg}
		if second.AccessKey == "" {
			second.AccessKey, second.SecretKey = primary.AccessKey, primary.SecretKey
		}
		if o.Backup, err = p.open(ctx, c.S3Backup, second, log); err != nil {
			return errors.Join(err, p.closeStores())
		}
		o.Agreement = &pool.Agreement{
			Node: nodeID, Switch: s.redis.Register("pool:minio:switch"), Votes: s.redis.Votes("pool:minio:votes"),
			Lease: s.redis.Lease("pool-return"), Journal: s.redis.Queue("return"),
		}
		o.Stays = func(key string) bool {
			return strings.HasPrefix(key, backup.Prefix) || strings.HasPrefix(key, snapshot.Prefix) || strings.HasPrefix(key, trialPrefix)
		}
		o.Spread = s.tableSays(func(c meta.Config) bool { return c.BackupEnabled && c.Properties[readFromBackup] == "true" }, false)
	}
	if p.pool, err = pool.Open(ctx, o); err != nil {
		return errors.Join(err, p.closeStores())
	}
	p.Store, s.pool, s.objects = p.pool, p.pool, p
	for i, store := range p.stores {
		set := "primary"
		if i >= len(c.S3) {
			set = "backup"
		}
		s.endpoints = append(s.endpoints, endpointRoom{set: set, name: store.Endpoint(), store: store})
	}
	if len(c.S3Backup) > 0 {
		s.startBackups(c, nodeID, o.Primary, p, log, reg)
	}
	return nil
}

// startBackups queues what is stored and deleted, and works the queue off.
func (s *stores) startBackups(c Config, nodeID string, primary []pool.Endpoint, p *pooled, log *slog.Logger, reg prometheus.Registerer) {
	grace := c.BackupGrace
	if grace == 0 {
		grace = defaultBackupGrace
	}
	queue := s.redis.Queue("backup")
	s.backups = &backups{queue: queue, mover: transfer.NewMover(p.pool.Primary(), p.pool.Backup(), queue, transfer.Options{
		Name: "backup", Parallel: backupTasks, LateMax: transfer.LateMax, DeleteBoth: true, Log: log, Registerer: reg,
	})}
	s.backups.service = backup.New(backup.Deps{
		Catalog: s.redis, Primary: p.pool.Primary(), Spare: p.pool.Backup(), Queue: queue,
		Operations: s.redis.Register("backup:operations"), Lease: s.redis.Lease("backup-history"),
		MakeBucket: func(ctx context.Context) error { return makeBucket(ctx, primary) }, Log: log,
	}, backup.Options{Node: nodeID, Sources: append(slices.Clone(c.S3Backup), c.BackupBucket), Grace: grace, HistoryEvery: c.BackupHistory, Dir: c.dir("spill")})
	s.catalog = s.backups.service.Guard()
	// When in doubt an object is backed up.
	wants := s.tableSays(func(c meta.Config) bool { return c.BackupEnabled }, true)
	backed := &transfer.Backed{Store: p.pool, Queue: queue, Wants: wants, Grace: grace, Log: log}
	p.Store = backed
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.moving.Go(func() { s.backups.mover.Run(ctx) })
	p.moving.Go(func() { backed.Run(ctx) })
	p.moving.Go(func() { s.backups.service.Keep(ctx) })
}

// makeBucket makes the bucket of a set by one of its endpoints.
func makeBucket(ctx context.Context, endpoints []pool.Endpoint) error {
	var errs []error
	for _, e := range endpoints {
		store, ok := e.Store.(*s3.Store)
		if !ok {
			return nil
		}
		err := store.MakeBucket(ctx)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fault.Wrap(fault.CodeOf(errs[0]), errors.Join(errs...))
}

// readFromBackup is the table property that spreads reads over both stores.
const readFromBackup = "read_from_backup"

const (
	configsCached = 10_000
	configHolds   = 30 * time.Second // a change of a table's configuration takes effect after
)

// tableSays answers a question about an object by the configuration of its
// table; otherwise is the answer where that is not known.
func (s *stores) tableSays(says func(meta.Config) bool, otherwise bool) func(context.Context, string) bool {
	cache := otter.Must(&otter.Options[string, bool]{MaximumSize: configsCached, ExpiryCalculator: otter.ExpiryWriting[string, bool](configHolds)})
	return func(ctx context.Context, key string) bool {
		name, _, _ := strings.Cut(key, "/")
		if answer, ok := cache.GetIfPresent(name); ok {
			return answer
		}
		t, err := s.redis.Table(ctx, name)
		if err != nil {
			return otherwise
		}
		answer := says(t.Config)
		cache.Set(name, answer)
		return answer
	}
}

// pooled is a pool with the stores of its endpoints, which it closes.
type pooled struct {
	objstore.Store // the pool, perhaps backed
	pool           *pool.Pool
	stores         []*s3.Store
	cancel         context.CancelFunc // of the mover; nil if there is none
	moving         sync.WaitGroup
}

// makeBucketWait bounds how long a start waits for an endpoint that may be
// away.
const makeBucketWait = 3 * time.Second

// open makes the stores of a set's endpoints. One that does not answer now is
// no error.
func (p *pooled) open(ctx context.Context, urls []string, o s3.Options, log *slog.Logger) ([]pool.Endpoint, error) {
	o.AttemptsMax = 1 // the pool tries elsewhere
	o.DialTimeout = 2 * time.Second
	var endpoints []pool.Endpoint
	for _, url := range urls {
		o.Endpoint = url
		store, err := s3.New(o)
		if err != nil {
			return nil, err
		}
		p.stores = append(p.stores, store)
		endpoints = append(endpoints, pool.Endpoint{Name: store.Endpoint(), Store: store})
		limited, cancel := context.WithTimeout(ctx, makeBucketWait)
		if err := store.MakeBucket(limited); err != nil {
			log.Warn("object store is not ready", "endpoint", store.Endpoint(), "error", err)
		}
		cancel()
	}
	return endpoints, nil
}

// Close ends the mover and the pool, then the stores.
func (p *pooled) Close() error {
	if p.cancel != nil {
		p.cancel()
		p.moving.Wait()
	}
	return errors.Join(p.pool.Close(), p.closeStores())
}

func (p *pooled) closeStores() error {
	var errs []error
	for _, s := range p.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
