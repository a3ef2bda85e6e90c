package redismeta

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
)

// shape is how Redis is set up.
type shape int

const (
	standalone shape = iota
	sentinel
	cluster
)

const (
	hostsMax = 64

	urlForm = "give redis://[user:password@]host:port[/number], redis+sentinel://[user:password@]host:port,host:port,host:port/master[/number], " +
		"or redis+cluster://[user:password@]host:port,host:port,host:port; rediss instead of redis for TLS; odd characters of the password as %XX"
)

// parseURL never repeats the URL in its error: it may hold a password.
func parseURL(rawURL string) (*redis.UniversalOptions, shape, error) {
	bad := func(what string) (*redis.UniversalOptions, shape, error) {
		return nil, 0, fault.New(fault.InvalidArgument, "the URL of Redis "+what+": "+urlForm)
	}
	scheme, rest, _ := strings.Cut(rawURL, "://")
	base, kind, plus := strings.Cut(scheme, "+")
	form, known := map[string]shape{"": standalone, "sentinel": sentinel, "cluster": cluster}[kind]
	if base != "redis" && base != "rediss" || !known || plus && kind == "" {
		return bad("has another scheme")
	}
	// Only the first host is shown to the parsers, which know no lists.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	at := strings.LastIndexByte(authority, '@') + 1
	hosts := strings.Split(authority[at:], ",")
	if hosts[0] == "" || form == standalone && len(hosts) > 1 || len(hosts) > hostsMax {
		return bad("has no host, or too many")
	}
	u, err := url.Parse(base + "://" + authority[:at] + hosts[0] + tail)
	if err != nil || u.Host == "" {
		return bad("cannot be read")
	}
	universal := &redis.UniversalOptions{IsClusterMode: form == cluster}
	if form == sentinel {
		var number string
		universal.MasterName, number, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		if universal.MasterName == "" {
			return bad("names no master")
		}
		u.Path = "/" + number
		query := u.Query()
		universal.SentinelUsername, universal.SentinelPassword = query.Get("sentinel_username"), query.Get("sentinel_password")
		query.Del("sentinel_username")
		query.Del("sentinel_password")
		u.RawQuery = query.Encode()
	}
	o, err := redis.ParseURL(u.String())
	if err != nil || form == cluster && o.DB != 0 {
		return bad("has a bad port, database number or option")
	}
	if universal.Addrs, err = addresses(o.Addr, hosts, form); err != nil {
		return bad("has a bad host or port")
	}
	fill(universal, o)
	return universal, form, nil
}

// addresses gives each host its port.
func addresses(first string, hosts []string, form shape) ([]string, error) {
	port := map[shape]string{standalone: "6379", sentinel: "26379", cluster: "6379"}[form]
	if form == standalone {
		return []string{first}, nil
	}
	addrs := make([]string, len(hosts))
	for i, host := range hosts {
		u, err := url.Parse("redis://" + host)
		if err != nil {
			return nil, err
		}
		if u.Hostname() == "" || u.User != nil {
			return nil, &net.AddrError{Err: "no host"}
		}
		addrs[i] = net.JoinHostPort(u.Hostname(), port)
		if u.Port() != "" {
			addrs[i] = net.JoinHostPort(u.Hostname(), u.Port())
		}
	}
	return addrs, nil
}

// fill takes over what the URL says beside its hosts.
func fill(u *redis.UniversalOptions, o *redis.Options) {
	u.DB, u.Username, u.Password, u.TLSConfig = o.DB, o.Username, o.Password, o.TLSConfig
	u.Protocol, u.ClientName = o.Protocol, o.ClientName
	u.MaxRetries, u.MinRetryBackoff, u.MaxRetryBackoff = o.MaxRetries, o.MinRetryBackoff, o.MaxRetryBackoff
	u.DialTimeout, u.ReadTimeout, u.WriteTimeout, u.PoolTimeout = o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout
	u.PoolSize, u.MinIdleConns, u.MaxIdleConns, u.MaxActiveConns = o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns
	u.ConnMaxIdleTime, u.ConnMaxLifetime = o.ConnMaxIdleTime, o.ConnMaxLifetime
}

// Where another server can take over, the first attempts of a call may take
// so long, and each further one twice as long, within Options.Timeout.
const (
	attemptDial  = time.Second
	attemptFirst = 2 * time.Second
	attemptsSame = 4
	// attemptRead bounds one answer, also when the client asks a server that
	// hangs for the shape of the cluster. An index whose listing takes longer
	// needs read_timeout in the URL.
	attemptRead = 3 * time.Second
)

// connect makes the client. Nothing is sent yet.
func connect(o *redis.UniversalOptions, form shape, opts Options) redis.UniversalClient {
	if form != standalone {
		setDefault(&o.ReadTimeout, min(attemptRead, opts.Timeout))
		setDefault(&o.MaxRetries, -1) // patiently repeats whole calls
	}
	for _, field := range []*time.Duration{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout} {
		if *field == 0 {
			*field = opts.Timeout
		}
	}
	if form != standalone {
		o.DialTimeout = min(o.DialTimeout, attemptDial)
	}
	if opts.PoolSize != 0 {
		o.PoolSize = opts.PoolSize
	}
	if opts.PoolMin != 0 {
		o.MinIdleConns = opts.PoolMin
	}
	if opts.IdleMax != 0 {
		o.ConnMaxIdleTime = opts.IdleMax
	}
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch form {
	case sentinel:
		return redis.NewFailoverClient(o.Failover())
	case cluster:
		c := o.Cluster()
		c.ClusterSlots = func(ctx context.Context) ([]redis.ClusterSlot, error) { return askSlots(ctx, o) }
		return redis.NewClusterClient(c)
	}
	return redis.NewClient(o.Simple())
}

// askSlots asks all servers of the URL at once who has which slots, and takes
// the first answer: a server that hangs holds nobody up.
func askSlots(ctx context.Context, o *redis.UniversalOptions) ([]redis.ClusterSlot, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptFirst)
	type answer struct {
		slots []redis.ClusterSlot
		err   error
	}
	answers := make(chan answer, len(o.Addrs))
	var asking sync.WaitGroup
	for _, addr := range o.Addrs {
		asking.Go(func() {
			simple := o.Simple()
			simple.Addr, simple.DB, simple.PoolSize, simple.MinIdleConns, simple.MaxRetries = addr, 0, 1, 0, -1
			c := redis.NewClient(simple)
			slots, err := c.ClusterSlots(ctx).Result() //nolint:staticcheck // the form that the client wants
			if err == nil && len(slots) == 0 {
				err = errMoved
			}
			_ = c.Close()
			answers <- answer{slots, err}
		})
	}
	defer asking.Wait()
	defer cancel()
	var a answer
	for range o.Addrs {
		if a = <-answers; a.err == nil {
			return a.slots, nil
		}
	}
	return nil, a.err
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// warmUp opens the connections that are to be kept, and sees that they work.
func (s *Store) warmUp(ctx context.Context, conns int) error {
	var group errgroup.Group
	for range max(conns, 1) {
		group.Go(func() error { return s.Ping(ctx) })
	}
	return group.Wait()
}

const (
	backoffMin = 20 * time.Millisecond
	backoffMax = 500 * time.Millisecond
	reloadWait = 200 * time.Millisecond // for the shape of a cluster to be asked anew
)

// patiently repeats f while Redis is between two masters, within ctx. All that
// is done may be repeated.
func (s *Store) patiently(ctx context.Context, f func(context.Context) error) error {
	if s.form == standalone {
		return f(ctx)
	}
	pause := backoffMin
	for n := 0; ; n++ {
		limited, cancel := context.WithTimeout(ctx, attemptFirst<<max(0, n-attemptsSame+1))
		err := f(limited)
		cancel()
		if err == nil || classOf(err) != fault.Unavailable || ctx.Err() != nil {
			return err
		}
		if c, ok := s.client.(*redis.ClusterClient); ok {
			c.ReloadState(ctx) // in the background
			pause = max(pause, reloadWait)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, backoffMax)
	}
}
