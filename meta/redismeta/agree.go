package redismeta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/meta"
)

// Register is one value that all nodes agree on.
type Register struct {
	s   *Store
	key string
}

// Register returns the register of that name, such as pool:minio:switch; it is
// the key's name.
func (s *Store) Register(name string) *Register { return &Register{s: s, key: name} }

// Load returns the value and its version; version 0 if it was never set.
func (r *Register) Load(ctx context.Context) (version int64, value string, err error) {
	var fields []any
	err = r.s.call(ctx, func(ctx context.Context) (err error) {
		fields, err = r.s.client.HMGet(ctx, r.key, "version", "value").Result()
		return err
	})
	if err != nil || fields[0] == nil {
		return 0, "", err
	}
	text, _ := fields[0].(string)
	value, _ = fields[1].(string)
	if version, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, "", fmt.Errorf("%s is damaged in redis %s: %w", r.key, r.s.address, err)
	}
	return version, value, nil
}

// Swap stores the value as version+1 if the stored version is still version,
// and tells whether it did. A repetition of the swap that won is told so too.
func (r *Register) Swap(ctx context.Context, version int64, value string) (bool, error) {
	word, _, err := r.s.run(ctx, r.s.scripts.swap, []string{r.key}, version, value, newRequest())
	return word == "ok", err
}

// KEYS: register. ARGV: version value request
const swapLua = `
if redis.call('HGET', KEYS[1], 'op') == ARGV[3] then return 'ok' end
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 'conflict' end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', ARGV[1] + 1), 'value', ARGV[2], 'op', ARGV[3])
return 'ok'
`

// Votes is a yes or no of each node.
type Votes struct {
	s   *Store
	key string
}

// Votes returns the votes of that name; it is the key's name.
func (s *Store) Votes(name string) *Votes { return &Votes{s: s, key: name} }

// Cast replaces the node's vote and counts those not older than window, by
// Redis's clock. Older ones are forgotten.
func (v *Votes) Cast(ctx context.Context, node string, yes bool, window time.Duration) (ayes, voters int, err error) {
	vote := "0"
	if yes {
		vote = "1"
	}
	var counts []int64
	err = v.s.call(ctx, func(ctx context.Context) (err error) {
		counts, err = v.s.script(ctx, v.s.scripts.vote, []string{v.key}, node, vote, window.Microseconds()).Int64Slice()
		return err
	})
	if err != nil || len(counts) != 2 {
		return 0, 0, err
	}
	return int(counts[0]), int(counts[1]), nil
}

// KEYS: votes. ARGV: node vote window
const voteLua = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. string.format('%.0f', now))
local yes, voters = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if now - tonumber(string.sub(all[i + 1], 2)) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    voters = voters + 1
    if string.sub(all[i + 1], 1, 1) == '1' then yes = yes + 1 end
  end
end
return {yes, voters}
`

// Lease is a lock that ends by itself: metadata:lock:{operation}.
type Lease struct {
	s                *Store
	operation, owner string
}

// Lease returns the lease of an operation, as seen by one owner: another call
// gives another owner.
func (s *Store) Lease(operation string) *Lease {
	return &Lease{s: s, operation: operation, owner: rand.Text()}
}

// Acquire takes the lease, or renews it for its owner, for ttl. The token
// grows with each new owner: what is changed in its name can be fenced by it.
// held is false while another owner has it.
func (l *Lease) Acquire(ctx context.Context, ttl time.Duration) (token int64, held bool, err error) {
	token, err = l.s.Lock(ctx, l.operation, l.owner, ttl)
	if errors.Is(err, meta.ErrLocked) {
		return 0, false, nil
	}
	return token, err == nil, err
}

// Release gives the lease back; one that is lost already is no error.
func (l *Lease) Release(ctx context.Context) error {
	return l.s.Unlock(ctx, l.operation, l.owner)
}

const releaseLua = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'ok'
`

// SetStatus replaces the fields of a HASH that tells the state of a pool, such
// as pool:redis:status, and notes the time of the check in
// pool:health:last_check. Neither is read by nodes.
func (s *Store) SetStatus(ctx context.Context, fields map[string]map[string]string, at time.Time) error {
	return s.call(ctx, func(ctx context.Context) error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for key, values := range fields {
				p.HSet(ctx, key, values)
			}
			p.Set(ctx, "pool:health:last_check", at.UTC().Format(time.RFC3339), 0)
			return nil
		})
		return err
	})
}
