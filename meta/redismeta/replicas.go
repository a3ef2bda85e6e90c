package redismeta

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/fault"
)

const (
	replicaWait = time.Second     // for a replica to confirm one change
	replicaLag  = 2 * time.Second // a replica that was not heard of for so long does not count
)

// errReplicas says that a change is in the master and perhaps nowhere else: it
// may be lost, so it is not acknowledged. Repeating it is harmless.
var errReplicas = fault.New(fault.Unavailable, "not all replicas have confirmed the change; try again")

// script runs a script that changes something and makes sure of it.
func (s *Store) script(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	if s.form == standalone && s.replicas == 0 {
		return script.Run(ctx, s.client, keys, args...)
	}
	node, err := s.master(ctx, keys[0])
	if err != nil {
		return failedCmd(ctx, err)
	}
	replicas, err := s.replicasOf(ctx, node)
	if err != nil {
		return failedCmd(ctx, err)
	}
	// What makes sure of it goes by the same connection: that is how Redis
	// knows what to wait for, and which server is asked who it is.
	after := []any{"WAIT", replicas, replicaWait.Milliseconds()}
	if replicas == 0 {
		after = []any{"INFO"}
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
		s.replicaSeen.Delete(node) // another server may be behind it now
		return cmd
	}
	if replicas == 0 {
		err = s.alone(ctx, sure)
	} else {
		err = confirmed(sure, replicas)
	}
	if err != nil {
		s.replicaSeen.Delete(node) // it is asked again: the next try may find more or fewer
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

// confirmed tells whether so many replicas have a change.
func confirmed(wait *redis.Cmd, replicas int) error {
	n, err := wait.Int()
	if err == nil && n < replicas {
		return errReplicas
	}
	return err
}

// replicasOf is how many replicas of a master are waited for: all that are
// alive, as any of them may be the one that takes over. What is found holds for
// a while.
func (s *Store) replicasOf(ctx context.Context, node *redis.Client) (int, error) {
	if s.replicas > 0 {
		return s.replicas, nil
	}
	if seen, ok := s.replicaSeen.Load(node); ok && time.Since(seen.(sighting).at) < sightingHolds {
		return seen.(sighting).alive, nil
	}
	info, err := node.Info(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	if !strings.Contains(info, "role:master") {
		return 0, errMoved
	}
	seen := sighting{at: time.Now(), alive: aliveReplicas(info)}
	s.replicaSeen.Store(node, seen)
	return seen.alive, nil
}

// sighting is what INFO told of a master's replicas.
type sighting struct {
	at    time.Time
	alive int
}

const sightingHolds = 2 * time.Second

// errMoved says that a server is not, or no longer, the master.
var errMoved = fault.New(fault.Unavailable, "another server is the master now; try again")

// alone makes sure that nobody can take over from a master that has taken a
// change and had no replica: info is what it says of itself since. A server
// that was cut off and replaced does not know it yet, so the sentinels are
// asked, too. A cluster's masters see to that themselves.
func (s *Store) alone(ctx context.Context, info *redis.Cmd) error {
	text, err := info.Text()
	if err != nil {
		return err
	}
	if aliveReplicas(text) > 0 {
		return errReplicas
	}
	if s.form != sentinel {
		return nil
	}
	answers := make(chan error, len(s.sentinels))
	for _, addr := range s.sentinels {
		go func() { answers <- s.askSentinel(ctx, addr, text) }()
	}
	agree := 0
	for range s.sentinels {
		switch e := <-answers; {
		case e == nil:
			agree++
		case errors.Is(e, errMoved) || errors.Is(e, errReplicas):
			err = e
		}
	}
	if err == nil && 2*agree <= len(s.sentinels) {
		err = errSentinels
	}
	return err
}

// errSentinels says that too few of them answered.
var errSentinels = fault.New(fault.Unavailable, "the master has no replica, and most of the sentinels do not answer whether it still is the master; try again")

// askSentinel is errMoved if the sentinel means another master than the one
// with that info or is about to replace it, and errReplicas if it knows of a
// replica that it could replace it with.
func (s *Store) askSentinel(ctx context.Context, addr sentinelAddr, info string) error {
	c := redis.NewSentinelClient(&redis.Options{Addr: addr.host, Username: addr.user, Password: addr.password,
		TLSConfig: addr.tls, MaxRetries: -1, DialTimeout: attemptDial, ReadTimeout: attemptDial, ContextTimeoutEnabled: true})
	defer c.Close()
	replicas, err := c.Replicas(ctx, s.masterName).Result()
	if err != nil {
		return err
	}
	master, err := c.Master(ctx, s.masterName).Result() // last, as it is the one that changes
	if err != nil {
		return err
	}
	if id := master["runid"]; id == "" || !strings.Contains(info, "run_id:"+id) || strings.Contains(master["flags"], "failover_in_progress") {
		return errMoved
	}
	for _, r := range replicas {
		if !strings.Contains(r["flags"], "down") && !strings.Contains(r["flags"], "disconnected") {
			return errReplicas
		}
	}
	return nil
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
