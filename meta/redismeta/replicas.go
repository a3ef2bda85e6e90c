package redismeta

import (
	"context"
	"crypto/tls"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/fault"
)

const (
	replicaWait = time.Second     // for a replica to confirm one change
	replicaLag  = 3 * time.Second // a replica that was not heard of for so long does not count
)

// errReplicas says that a change is in the master and perhaps nowhere else: it
// may be lost, so it is not acknowledged. Repeating it is harmless.
var errReplicas = fault.New(fault.Unavailable, "no replica has confirmed the change; try again")

// script runs a script that changes something and makes sure of it.
func (s *Store) script(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	if s.form == standalone && s.replicas == 0 {
		return script.Run(ctx, s.client, keys, args...)
	}
	node, err := s.master(ctx, keys[0])
	if err != nil {
		return failedCmd(ctx, err)
	}
	lonely, err := s.lonely(ctx, node)
	if err != nil {
		return failedCmd(ctx, err)
	}
	// What makes sure of it goes by the same connection: that is how Redis
	// knows what to wait for, and which server is asked who it is.
	after := []any{"WAIT", max(s.replicas, 1), replicaWait.Milliseconds()}
	if lonely {
		after = []any{"INFO", "server"}
	}
	run := func(eval func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd) (cmd, sure *redis.Cmd) {
		p := node.Pipeline()
		cmd = eval(ctx, p, keys, args...)
		sure = p.Do(ctx, after...)
		_, _ = p.Exec(ctx) // each command has its error
		return cmd, sure
	}
	cmd, sure := run(script.EvalSha)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd, sure = run(script.Eval)
	}
	if cmd.Err() != nil {
		return cmd
	}
	if lonely {
		err = s.stillMaster(ctx, sure)
	} else {
		err = s.confirmed(node, sure)
	}
	if err != nil {
		return failedCmd(ctx, err)
	}
	return cmd
}

// master is the client of the server that has the key now.
func (s *Store) master(ctx context.Context, key string) (*redis.Client, error) {
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	case *redis.Client:
		return c, nil
	}
	panic("BUG: a client of another kind")
}

func failedCmd(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

// confirmed tells whether enough replicas have a change.
func (s *Store) confirmed(node *redis.Client, wait *redis.Cmd) error {
	n, err := wait.Int()
	switch {
	case err != nil:
		return err
	case n >= max(s.replicas, 1):
		return nil
	case s.replicas > 0:
		return errReplicas
	}
	s.replicaSeen.Delete(node) // it is asked again: the next try may find none alive
	return errReplicas
}

// lonely tells whether a master has no replica that is alive, so that nobody
// is waited for. What is found holds for a while.
func (s *Store) lonely(ctx context.Context, node *redis.Client) (bool, error) {
	if s.replicas > 0 {
		return false, nil
	}
	if seen, ok := s.replicaSeen.Load(node); ok && time.Since(seen.(sighting).at) < sightingHolds {
		return seen.(sighting).alive == 0, nil
	}
	info, err := node.Info(ctx, "replication").Result()
	if err != nil {
		return false, err
	}
	if !strings.Contains(info, "role:master") {
		return false, errMoved
	}
	seen := sighting{at: time.Now(), alive: aliveReplicas(info)}
	s.replicaSeen.Store(node, seen)
	return seen.alive == 0, nil
}

// sighting is what INFO told of a master's replicas.
type sighting struct {
	at    time.Time
	alive int
}

const sightingHolds = 2 * time.Second

// errMoved says that a server is not, or no longer, the master.
var errMoved = fault.New(fault.Unavailable, "another server is the master now; try again")

// stillMaster asks the sentinels whether a server without replicas, which has
// just taken a change, is the one that they mean: one that was cut off and
// replaced does not know it yet. A cluster's masters see to that themselves.
func (s *Store) stillMaster(ctx context.Context, info *redis.Cmd) error {
	text, err := info.Text()
	if err != nil || s.form != sentinel {
		return err
	}
	for _, addr := range s.sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: addr.host, Username: addr.user, Password: addr.password,
			TLSConfig: addr.tls, MaxRetries: -1, DialTimeout: attemptDial, ReadTimeout: attemptDial, ContextTimeoutEnabled: true})
		master, err := c.Master(ctx, s.masterName).Result()
		_ = c.Close()
		if err != nil {
			continue
		}
		if strings.Contains(text, "run_id:"+master["runid"]) {
			return nil
		}
		return errMoved
	}
	return errMoved
}

// sentinelAddr is how a sentinel is reached.
type sentinelAddr struct {
	host, user, password string
	tls                  *tls.Config
}

// aliveReplicas counts the replicas that INFO replication tells of as online
// and heard of lately.
func aliveReplicas(info string) int {
	alive := 0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(name, "slave") || !strings.Contains(value, "state=online") {
			continue
		}
		_, lag, _ := strings.Cut(value, "lag=")
		lag, _, _ = strings.Cut(lag, ",")
		if seconds, err := strconv.Atoi(lag); err == nil && time.Duration(seconds)*time.Second <= replicaLag {
			alive++
		}
	}
	return alive
}
