package redismeta

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	queueBatchMax  = 500 // records in one script
	queueReasonMax = 300 // bytes of a reason
)

// Queue is durable work by key, shared by all nodes. Its keys have one hash
// tag, so that it is whole in a cluster too.
type Queue struct {
	s                         *Store
	items, due, parked, count string
}

// QueueRecord is one entry of a queue. It has no name, so that packages that
// may not know this one can declare the same type.
type QueueRecord = struct {
	Key    string
	Value  string
	Tries  int    // times that it was taken, or taken before it was parked
	Token  int64  // of this version of the record
	Reason string // why it is parked
}

// Queue returns the queue of that name.
func (s *Store) Queue(name string) *Queue {
	tag := "{queue:" + name + "}:"
	return &Queue{s: s, items: tag + "items", due: tag + "due", parked: tag + "parked", count: tag + "count"}
}

// Add records work that is due after a while. A later record of a key replaces
// the earlier one.
func (q *Queue) Add(ctx context.Context, after time.Duration, values map[string]string) error {
	args := []any{after.Microseconds()}
	flush := func() error {
		if len(args) == 1 {
			return nil
		}
		_, _, err := q.s.run(ctx, q.s.scripts.queueAdd, []string{q.items, q.due, q.parked, q.count}, args...)
		args = args[:1]
		return err
	}
	for key, value := range values {
		args = append(args, key, value)
		if len(args) > 2*queueBatchMax {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// A record is kept as "token tries value".
//
// KEYS: items due parked count. ARGV: delay, then key and value of each
const queueAddLua = `
local now = redis.call('TIME')
local due = string.format('%.0f', now[1] * 1000000 + now[2] + ARGV[1])
for i = 2, #ARGV, 2 do
  local token = redis.call('INCR', KEYS[4])
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', token) .. ' 0 ' .. ARGV[i + 1])
  redis.call('ZADD', KEYS[2], due, ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
end
return 'ok'
`

// Take returns up to limit records that are due, the oldest first, and hides
// them from others for the lease.
func (q *Queue) Take(ctx context.Context, limit int, lease time.Duration) ([]QueueRecord, error) {
	var flat []string
	err := q.s.call(ctx, func(ctx context.Context) (err error) {
		flat, err = q.s.scripts.queueTake.Run(ctx, q.s.client, []string{q.items, q.due}, min(limit, queueBatchMax), lease.Microseconds()).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	return q.decode(flat)
}

// KEYS: items due. ARGV: limit lease
const queueTakeLua = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local out = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])) do
  local item = redis.call('HGET', KEYS[1], key)
  if item then
    local token, tries, at = string.match(item, '^(%d+) (%d+) ()')
    item = token .. ' ' .. string.format('%.0f', tries + 1) .. ' ' .. string.sub(item, at)
    redis.call('HSET', KEYS[1], key, item)
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[2]), key)
    out[#out + 1] = key
    out[#out + 1] = item
  else
    redis.call('ZREM', KEYS[2], key)
  end
end
return out
`

func (q *Queue) decode(flat []string) ([]QueueRecord, error) {
	records := make([]QueueRecord, 0, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		r, ok := decodeRecord(flat[i], flat[i+1])
		if !ok {
			return nil, fmt.Errorf("record %q of %s is damaged in redis %s", flat[i], q.items, q.s.address)
		}
		records = append(records, r)
	}
	return records, nil
}

func decodeRecord(key, text string) (QueueRecord, bool) {
	parts := strings.SplitN(text, " ", 3)
	if len(parts) != 3 {
		return QueueRecord{}, false
	}
	token, err := strconv.ParseInt(parts[0], 10, 64)
	tries, err2 := strconv.Atoi(parts[1])
	return QueueRecord{Key: key, Value: parts[2], Tries: tries, Token: token}, err == nil && err2 == nil
}

// Done removes records, unless they were added again meanwhile.
func (q *Queue) Done(ctx context.Context, records ...QueueRecord) error {
	return q.settle(ctx, "done", "", records)
}

// Retry makes a taken record due again after a while.
func (q *Queue) Retry(ctx context.Context, r QueueRecord, after time.Duration) error {
	return q.settle(ctx, "retry", strconv.FormatInt(after.Microseconds(), 10), []QueueRecord{r})
}

// Park puts a record aside, with the reason; it is not due until Unpark.
func (q *Queue) Park(ctx context.Context, r QueueRecord, reason string) error {
	if len(reason) > queueReasonMax {
		reason = reason[:queueReasonMax]
	}
	return q.settle(ctx, "park", reason, []QueueRecord{r})
}

func (q *Queue) settle(ctx context.Context, how, argument string, records []QueueRecord) error {
	for len(records) > 0 {
		some := records[:min(len(records), queueBatchMax)]
		records = records[len(some):]
		args := []any{how, argument}
		for _, r := range some {
			args = append(args, r.Key, r.Token)
		}
		if _, _, err := q.s.run(ctx, q.s.scripts.queueSettle, []string{q.items, q.due, q.parked}, args...); err != nil {
			return err
		}
	}
	return nil
}

// A parked record is kept as "token tries length-of-reason reason value".
//
// KEYS: items due parked. ARGV: done, retry or park; delay or reason; then key
// and token of each
const queueSettleLua = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
for i = 3, #ARGV, 2 do
  local item = redis.call('HGET', KEYS[1], ARGV[i])
  local token, tries, at = string.match(item or '', '^(%d+) (%d+) ()')
  if token == ARGV[i + 1] then
    if ARGV[1] == 'retry' then
      redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[2]), ARGV[i])
    else
      if ARGV[1] == 'park' then
        redis.call('HSET', KEYS[3], ARGV[i], token .. ' ' .. tries .. ' ' .. #ARGV[2] .. ' ' .. ARGV[2] .. string.sub(item, at))
      end
      redis.call('HDEL', KEYS[1], ARGV[i])
      redis.call('ZREM', KEYS[2], ARGV[i])
    end
  end
end
return 'ok'
`

// Find returns the value of a key that waits or is parked.
func (q *Queue) Find(ctx context.Context, key string) (value string, found bool, err error) {
	var item, parked *redis.StringCmd
	err = q.s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		item, parked = p.HGet(ctx, q.items, key), p.HGet(ctx, q.parked, key)
	})
	if err != nil {
		return "", false, err
	}
	if r, ok := decodeRecord(key, item.Val()); ok {
		return r.Value, true, nil
	}
	r, ok := decodeParked(key, parked.Val())
	return r.Value, ok, nil
}

// Len counts what waits, due or not, and what is parked.
func (q *Queue) Len(ctx context.Context) (waiting, parked int64, err error) {
	var items, aside *redis.IntCmd
	err = q.s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		items, aside = p.HLen(ctx, q.items), p.HLen(ctx, q.parked)
	})
	if err != nil {
		return 0, 0, err
	}
	return items.Val(), aside.Val(), nil
}

// Parked returns some of the records that are parked, limit at most or a few
// more.
func (q *Queue) Parked(ctx context.Context, limit int) ([]QueueRecord, error) {
	var records []QueueRecord
	err := q.s.call(ctx, func(ctx context.Context) error {
		scan := q.s.client.HScan(ctx, q.parked, 0, "", int64(limit)).Iterator()
		for len(records) < limit && scan.Next(ctx) {
			key := scan.Val()
			if !scan.Next(ctx) {
				break
			}
			if r, ok := decodeParked(key, scan.Val()); ok {
				records = append(records, r)
			}
		}
		return scan.Err()
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

func decodeParked(key, text string) (QueueRecord, bool) {
	r, ok := decodeRecord(key, text)
	length, rest, found := strings.Cut(r.Value, " ")
	n, err := strconv.Atoi(length)
	if !ok || !found || err != nil || n < 0 || n > len(rest) {
		return r, false
	}
	r.Reason, r.Value = rest[:n], rest[n:]
	return r, true
}

// Unpark makes parked records due now, as if never tried.
func (q *Queue) Unpark(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		some := keys[:min(len(keys), queueBatchMax)]
		keys = keys[len(some):]
		args := make([]any, len(some))
		for i, key := range some {
			args[i] = key
		}
		if _, _, err := q.s.run(ctx, q.s.scripts.queueUnpark, []string{q.items, q.due, q.parked}, args...); err != nil {
			return err
		}
	}
	return nil
}

// KEYS: items due parked. ARGV: keys
const queueUnparkLua = `
local now = redis.call('TIME')
for _, key in ipairs(ARGV) do
  local text = redis.call('HGET', KEYS[3], key)
  local token, length, at = string.match(text or '', '^(%d+) %d+ (%d+) ()')
  if token then
    redis.call('HSET', KEYS[1], key, token .. ' 0 ' .. string.sub(text, at + length))
    redis.call('ZADD', KEYS[2], string.format('%.0f', now[1] * 1000000 + now[2]), key)
    redis.call('HDEL', KEYS[3], key)
  end
end
return 'ok'
`
