package cache

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"skein/internal/fault"
	"skein/objstore"
)

// ErrDamaged says that the store's object is not what the catalog promised.
var ErrDamaged = fault.New(fault.Internal, "object is damaged")

// Options of a Cache. Dir is needed.
type Options struct {
	Dir          string // made if missing; one process owns it; not used for an objstore.Localer
	BytesMax     int64  // of files that nobody holds; 10 GiB if zero
	BytesHardMax int64  // of all files, held ones too; 4 x BytesMax if zero
	PartBytes    int64  // of one range read; 8 MiB if zero
	PartsMax     int    // range reads of one object at once; 4 if zero
	LoadsMax     int    // objects being downloaded or checked at once; 16 if zero

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: no metrics
}

// Cache gives local paths of a store's objects. Its methods may be called from
// many goroutines at once.
type Cache struct {
	store   objstore.Store
	local   objstore.Localer // the store, if it needs no copies
	options Options
	files   *files
	log     *slog.Logger
	metrics metrics

	ctx   context.Context // of all loads; ends at Close
	stop  context.CancelFunc
	loads sync.WaitGroup
	slots *semaphore.Weighted

	mu      sync.Mutex
	closed  bool
	entries map[id]*entry
	keys    map[string]int // entries on disk by key
	idle    *list.List     // *entry that nobody holds, last used first
	bytes   int64          // of all entries, those being downloaded too
}

// New opens the cache, taking over the files that an earlier one left in the
// directory. A store that is an objstore.Localer needs no directory, and gets
// none. The caller closes the cache.
func New(store objstore.Store, options Options) (*Cache, error) {
	local, isLocal := store.(objstore.Localer)
	options, err := options.complete(isLocal)
	if err != nil {
		return nil, err
	}
	c := &Cache{
		store: store, local: local, options: options, log: options.Logger,
		slots:   semaphore.NewWeighted(int64(options.LoadsMax)),
		entries: map[id]*entry{}, keys: map[string]int{}, idle: list.New(),
	}
	var files []found
	if !isLocal {
		if c.files, files, err = openFiles(options.Dir); err != nil {
			return nil, err
		}
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.metrics = newMetrics(options.Registerer, func() float64 { return float64(c.Bytes()) })
	c.adopt(files)
	return c, nil
}

func (o Options) complete(isLocal bool) (Options, error) {
	if o.Dir == "" && !isLocal {
		return o, fault.New(fault.InvalidArgument, "object cache: give it a directory")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fault.Newf(fault.InvalidArgument, "object cache %q: %w", o.Dir, err)
	}
	o.Dir = dir
	setDefault(&o.BytesMax, 10<<30)
	setDefault(&o.BytesHardMax, 4*o.BytesMax)
	setDefault(&o.PartBytes, 8<<20)
	setDefault(&o.PartsMax, 4)
	setDefault(&o.LoadsMax, 16)
	if o.BytesMax < 0 || o.BytesHardMax < o.BytesMax || o.PartBytes < 0 || o.PartsMax < 0 || o.LoadsMax < 0 {
		return o, fault.Newf(fault.InvalidArgument,
			"object cache %s: limits must not be negative, nor the hard limit (%d) below the limit (%d)", o.Dir, o.BytesHardMax, o.BytesMax)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func setDefault[T int | int64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Close stops all downloads, waits for them and gives back the directory.
// Handles that are still out may be released later.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.loads.Wait()
	if c.files == nil {
		return nil
	}
	return c.files.close()
}

// Handle holds one object's file.
type Handle struct {
	path     string
	release  func()
	released atomic.Bool
}

// Path is the file's absolute path, good until Release.
func (h *Handle) Path() string { return h.path }

// Release lets the file go. Calling it again is harmless.
func (h *Handle) Release() {
	if h.released.CompareAndSwap(false, true) {
		h.release()
	}
}

// Acquire returns a handle of the object of size bytes, downloading it if need
// be. The caller releases the handle. It returns objstore.ErrNotFound,
// ErrDamaged if the store's object has another size, or ResourceExhausted if
// the files held leave no room.
func (c *Cache) Acquire(ctx context.Context, key string, size int64) (*Handle, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, fault.Newf(fault.InvalidArgument, "object %q: size %d must be 0 or more", key, size)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("object %q: %w", key, err)
	}
	if c.local != nil {
		return c.acquireLocal(key, size)
	}
	for {
		h, again, err := c.acquire(ctx, id{key, size})
		if !again {
			return h, err
		}
	}
}

func (c *Cache) acquireLocal(key string, size int64) (*Handle, error) {
	path, err := c.local.LocalPath(key)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("object %q: %w", key, objstore.ErrNotFound) // deleted just now
	}
	if info.Size() != size {
		return nil, damaged(key, info.Size(), size)
	}
	return &Handle{path: path, release: func() {}}, nil
}

// acquire holds the entry and waits for its load. Again means that the load
// was given up by those who waited for it before.
func (c *Cache) acquire(ctx context.Context, id id) (h *Handle, again bool, err error) {
	e, load, err := c.hold(id)
	if err != nil {
		return nil, false, err
	}
	if load != nil {
		select {
		case <-load.done:
		case <-ctx.Done():
			c.letGo(e)
			return nil, false, fmt.Errorf("object %q: %w", id.key, ctx.Err())
		}
		if load.err != nil && c.ctx.Err() != nil {
			return nil, false, errClosed
		}
		if load.err != nil {
			return nil, load.abandoned, load.err
		}
	}
	return &Handle{path: c.files.data(id), release: func() { c.letGo(e) }}, false, nil
}

// Contains tells whether a copy of the object is here, of whatever size.
func (c *Cache) Contains(key string) bool {
	if c.local != nil {
		_, err := c.local.LocalPath(key)
		return err == nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[key] > 0
}

// Bytes is the size of all files here, those being downloaded too.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

func damaged(key string, has, promised int64) error {
	return fmt.Errorf("object %q has %d bytes where %d were promised: %w; restore it from a backup", key, has, promised, ErrDamaged)
}
