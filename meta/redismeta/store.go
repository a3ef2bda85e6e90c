package redismeta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/fault"
	"skein/meta"
)

const (
	defaultTimeout  = 5 * time.Second
	patientTimeout  = 15 * time.Second // where another server takes over
	defaultKeepLeft = 24 * time.Hour
)

// Options of a store.
type Options struct {
	Timeout  time.Duration // longest time of one method, its retries included; 5s if zero, 15s with sentinels or a cluster
	PoolSize int           // connections at most, to each server; 10 per CPU if zero
	PoolMin  int           // connections that are opened at the start and kept; none if zero
	IdleMax  time.Duration // an unused connection beyond PoolMin is closed after; 30m if zero
	Replicas int           // that must have a change before it is acknowledged; see Open if zero
	KeepLeft time.Duration // how long Nodes shows those that left; 24h if zero
}

// Store is a meta.Store in Redis.
type Store struct {
	client      redis.UniversalClient
	form        shape
	cluster     bool   // form is cluster
	address     string // for messages: host:port
	replicas    int
	replicaSeen sync.Map // *redis.Client -> sighting
	masterName  string
	sentinels   []sentinelAddr
	scripts     scripts
	timeout     time.Duration
	keepLeft    time.Duration
	running     sync.WaitGroup // calls, also those that nobody waits for any more
	mu          sync.Mutex
	closed      bool // no call starts any more; guarded by mu
}

var _ meta.Store = (*Store)(nil)

// Open connects to the Redis at a URL: redis://user:password@host:6379/0 for
// one server, redis+sentinel://host,host,host/master for a master that
// sentinels watch, redis+cluster://host,host,host for a cluster; rediss for TLS.
// It fails with Unavailable if that does not answer, and with
// FailedPrecondition if the catalog there has another layout.
//
// With sentinels or a cluster a change is acknowledged once all replicas have it
// that are alive, or at once while there are none. Options.Replicas asks for so
// many instead, with one server too.
func Open(ctx context.Context, rawURL string, opts Options) (*Store, error) {
	o, form, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if opts.Timeout < 0 || opts.PoolSize < 0 || opts.PoolMin < 0 || opts.IdleMax < 0 || opts.Replicas < 0 {
		return nil, fault.New(fault.InvalidArgument, "limits of Redis must not be negative")
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
		if form != standalone {
			opts.Timeout = patientTimeout
		}
	}
	if opts.KeepLeft == 0 {
		opts.KeepLeft = defaultKeepLeft
	}
	s := &Store{
		client: connect(o, form, opts), form: form, cluster: form == cluster, address: strings.Join(o.Addrs, ","), replicas: opts.Replicas,
		scripts: newScripts(form == cluster), timeout: opts.Timeout, keepLeft: opts.KeepLeft,
	}
	if form == sentinel {
		s.masterName = o.MasterName
		for _, addr := range o.Addrs {
			s.sentinels = append(s.sentinels, sentinelAddr{addr, o.SentinelUsername, o.SentinelPassword, o.TLSConfig})
		}
	}
	if err := s.warmUp(ctx, opts.PoolMin); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.checkLayout(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the connections and waits for what still runs. Later calls fail
// with Unavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.client.Close()
	s.running.Wait()
	return err
}

// Ping tells whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// Stats tells how the connections are used, by the names that
// pool:redis:status has them under.
func (s *Store) Stats() map[string]uint32 {
	p := s.client.PoolStats()
	return map[string]uint32{
		"total_conns": p.TotalConns, "idle_conns": p.IdleConns, "stale_conns": p.StaleConns,
		"hits": p.Hits, "misses": p.Misses, "timeouts": p.Timeouts,
	}
}

// Shape is standalone, sentinel or cluster.
func (s *Store) Shape() string { return [...]string{"standalone", "sentinel", "cluster"}[s.form] }

// call runs f within the store's timeout and classifies its error. It returns
// as soon as ctx ends, though the client may still wait for Redis: on error,
// the caller must not touch what f sets.
func (s *Store) call(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	if !s.start(func() {
		limited, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		done <- s.patiently(limited, f)
	}) {
		return fault.Newf(fault.Unavailable, "redis %s: the store is closed", s.address)
	}
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			return fault.Wrap(classOf(err), fmt.Errorf("redis %s: %w", s.address, err))
		}
	case <-ctx.Done():
	}
	return fmt.Errorf("redis %s: %w", s.address, ctx.Err())
}

// start runs f beside the caller, and tells whether the store is still open.
func (s *Store) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Go(f)
	}
	return !s.closed
}

// classOf tells whose fault an error of the client is. What Redis answers is
// a bug of ours unless it tells of its own state; all else is the network.
func classOf(err error) fault.Code {
	if errors.Is(err, errReplicas) || errors.Is(err, errMoved) || errors.Is(err, errSentinels) {
		return fault.Unavailable
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return fault.Unavailable
	}
	word, _, _ := strings.Cut(answer.Error(), " ")
	switch strings.TrimSuffix(word, ":") {
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return fault.FailedPrecondition
	case "LOADING", "READONLY", "MOVED", "ASK", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY", "OOM", "MISCONF", "UNKILLABLE":
		return fault.Unavailable
	case "ERR":
		if strings.Contains(answer.Error(), "max number of clients") {
			return fault.Unavailable
		}
		if strings.Contains(answer.Error(), "invalid password") || strings.Contains(answer.Error(), "AUTH") {
			return fault.FailedPrecondition
		}
	}
	return fault.Internal
}

// run runs a script and returns its answer: a word and what may follow it.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (word, rest string, err error) {
	var answer string
	err = s.call(ctx, func(ctx context.Context) (err error) {
		answer, err = s.script(ctx, script, keys, args...).Text()
		return err
	})
	if err != nil {
		return "", "", err
	}
	word, rest, _ = strings.Cut(answer, " ")
	return word, rest, nil
}

// newRequest names one call, so that a script knows its repetition.
func newRequest() string { return rand.Text() }

func missing(table string) error {
	return fmt.Errorf("%.80s: %w", table, meta.ErrTableNotFound)
}
