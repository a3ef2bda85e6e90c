package transfer

import (
	"context"
	"encoding/json"
	"time"
)

// Record is one entry of a queue. It has no name, so that a catalog can return
// it without knowing this package.
type Record = struct {
	Key    string
	Value  string
	Tries  int    // times that it was taken, or taken before it was parked
	Token  int64  // of this version of the record
	Reason string // why it is parked
}

// Queue is durable work by key, shared by all nodes.
type Queue interface {
	// Add records work that is due after a while. A later record of a key
	// replaces the earlier one, also one that is taken or parked.
	Add(ctx context.Context, after time.Duration, values map[string]string) error
	// Take returns up to limit records that are due, the oldest first, and
	// hides them for the lease. One that is neither done nor put off by then
	// is due again.
	Take(ctx context.Context, limit int, lease time.Duration) ([]Record, error)
	// Done removes records, unless they were added again meanwhile; so for
	// Retry, which makes one due after a while, and Park, which puts one aside.
	Done(ctx context.Context, records ...Record) error
	Retry(ctx context.Context, r Record, after time.Duration) error
	Park(ctx context.Context, r Record, reason string) error
	// Find returns the value of a key that waits or is parked.
	Find(ctx context.Context, key string) (value string, found bool, err error)
	// Len counts what waits, due or not, and what is parked.
	Len(ctx context.Context) (waiting, parked int64, err error)
	// Parked returns some of the records that are parked.
	Parked(ctx context.Context, limit int) ([]Record, error)
	// Unpark makes parked records due now, as if never tried.
	Unpark(ctx context.Context, keys ...string) error
}

// Task is what is to be done with a key.
type Task struct {
	Delete bool      `json:"delete,omitempty"` // else copy
	Queued time.Time `json:"queued"`
}

// Text is the task as a queue keeps it.
func (t Task) Text() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic("BUG: a task has no JSON: " + err.Error())
	}
	return string(text)
}

// ParseTask reads what Text wrote.
func ParseTask(text string) (t Task, err error) {
	err = json.Unmarshal([]byte(text), &t)
	return t, err
}

// QueueCopies records that the objects are to be copied now.
func QueueCopies(ctx context.Context, q Queue, keys ...string) error {
	return queue(ctx, q, 0, Task{Queued: time.Now().UTC()}, keys)
}

// QueueDeletions records that the objects are to be deleted after a grace
// time.
func QueueDeletions(ctx context.Context, q Queue, grace time.Duration, keys ...string) error {
	return queue(ctx, q, grace, Task{Delete: true, Queued: time.Now().UTC()}, keys)
}

func queue(ctx context.Context, q Queue, after time.Duration, t Task, keys []string) error {
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		values[key] = t.Text()
	}
	return q.Add(ctx, after, values)
}
