package redismeta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"skein/internal/fault"
	"skein/meta"
)

const (
	defaultTimeout  = 5 * time.Second
	defaultKeepLeft = 24 * time.Hour
)

// Options of a store.
type Options struct {
	Timeout  time.Duration // longest time of one method, its retries included; 5s if zero
	PoolSize int           // connections; 10 per CPU if zero
	KeepLeft time.Duration // how long Nodes shows those that left; 24h if zero
}

// Store is a meta.Store in Redis.
type Store struct {
	client   redis.UniversalClient
	address  string // for messages: host:port
	scripts  scripts
	timeout  time.Duration
	keepLeft time.Duration
	running  sync.WaitGroup // calls, also those that nobody waits for any more
}

var _ meta.Store = (*Store)(nil)

// Open connects to the Redis at a URL such as
// redis://user:password@host:6379/0, or rediss:// for TLS. It fails with
// Unavailable if that does not answer.
func Open(ctx context.Context, rawURL string, opts Options) (*Store, error) {
	o, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.KeepLeft == 0 {
		opts.KeepLeft = defaultKeepLeft
	}
	o.PoolSize = opts.PoolSize
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = opts.Timeout, opts.Timeout, opts.Timeout
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s := &Store{
		client: redis.NewClient(o), address: o.Addr, scripts: newScripts(), timeout: opts.Timeout, keepLeft: opts.KeepLeft,
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.client.Close())
	}
	return s, nil
}

// parseURL never repeats the URL in its error: it may hold a password.
func parseURL(rawURL string) (*redis.Options, error) {
	const form = "give redis://[user:password@]host:port[/number], or rediss:// for TLS, with odd characters of the password as %XX"
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "the URL of Redis cannot be read: "+form)
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return nil, fault.New(fault.InvalidArgument, "the URL of Redis has no host or another scheme: "+form)
	}
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "the URL of Redis has a bad port, database number or option: "+form)
	}
	return o, nil
}

// Close ends the connections and waits for what still runs.
func (s *Store) Close() error {
	err := s.client.Close()
	s.running.Wait()
	return err
}

// Ping tells whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// call runs f within the store's timeout and classifies its error. It returns
// as soon as ctx ends, though the client may still wait for Redis: on error,
// the caller must not touch what f sets.
func (s *Store) call(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	s.running.Go(func() {
		limited, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		done <- f(limited)
	})
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

// classOf tells whose fault an error of the client is. What Redis answers is
// a bug of ours unless it tells of its own state; all else is the network.
func classOf(err error) fault.Code {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return fault.Unavailable
	}
	word, _, _ := strings.Cut(answer.Error(), " ")
	switch strings.TrimSuffix(word, ":") {
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return fault.FailedPrecondition
	case "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY", "OOM", "MISCONF", "UNKILLABLE":
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
		answer, err = script.Run(ctx, s.client, keys, args...).Text()
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
