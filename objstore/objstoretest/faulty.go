package objstoretest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"skein/objstore"
)

// Op names an operation of a store. The zero value stands for all of them.
type Op string

// The operations of objstore.Store.
const (
	OpAny    Op = ""
	OpPut    Op = "put"
	OpGet    Op = "get"
	OpStat   Op = "stat"
	OpDelete Op = "delete"
	OpList   Op = "list"
	OpPing   Op = "ping"
)

// Rule says what goes wrong, and when. The zero value matches everything and
// changes nothing.
type Rule struct {
	Op  Op     // of which operation
	Key string // only keys, or prefixes of List, that hold this text
	Nth int    // only the n-th match, from 1; every one if zero

	Wait <-chan struct{}                 // first waits until it is closed
	Late time.Duration                   // then waits so long
	Do   func(ctx context.Context) error // then runs; an error is the operation's
	Err  error                           // then fails with it, without reaching the store

	// Cut makes Get end after CutAt bytes: with Err, or as if the object ended
	// there when Err is nil.
	Cut   bool
	CutAt int64
}

// FaultyStore is a store that fails by rules. It is never an objstore.Localer.
type FaultyStore struct {
	store objstore.Store

	mu    sync.Mutex
	rules []Rule
	hits  []int // matches of each rule
	calls map[Op]int
}

// Faulty wraps store: of the rules that match an operation each acts in turn.
func Faulty(store objstore.Store, rules ...Rule) *FaultyStore {
	return &FaultyStore{store: store, rules: rules, hits: make([]int, len(rules)), calls: map[Op]int{}}
}

// OnNth is the rule that fails the n-th operation op with err.
func OnNth(op Op, n int, err error) Rule { return Rule{Op: op, Nth: n, Err: err} }

// Calls tells how many operations op have begun.
func (f *FaultyStore) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op != OpAny {
		return f.calls[op]
	}
	n := 0
	for _, c := range f.calls {
		n += c
	}
	return n
}

// matching counts the operation and returns the rules that act on it.
func (f *FaultyStore) matching(op Op, key string) []Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	var acting []Rule
	for i, rule := range f.rules {
		if rule.Op != OpAny && rule.Op != op || !strings.Contains(key, rule.Key) {
			continue
		}
		f.hits[i]++
		if rule.Nth == 0 || rule.Nth == f.hits[i] {
			acting = append(acting, rule)
		}
	}
	return acting
}

// act lets the rules act before the operation and returns the one that cuts
// its answer, if any.
func (f *FaultyStore) act(ctx context.Context, op Op, key string) (cut *Rule, err error) {
	for _, rule := range f.matching(op, key) {
		if err := rule.wait(ctx); err != nil {
			return nil, fmt.Errorf("object %q: %w", key, err)
		}
		if rule.Do != nil {
			if err := rule.Do(ctx); err != nil {
				return nil, fmt.Errorf("object %q: %w", key, err)
			}
		}
		if rule.Cut && op == OpGet {
			cut = &rule
			continue
		}
		if rule.Err != nil {
			return nil, fmt.Errorf("object %q: %w", key, rule.Err)
		}
	}
	return cut, nil
}

func (r Rule) wait(ctx context.Context) error {
	if r.Wait != nil {
		select {
		case <-r.Wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r.Late == 0 {
		return nil
	}
	timer := time.NewTimer(r.Late)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Put implements objstore.Store.
func (f *FaultyStore) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if _, err := f.act(ctx, OpPut, key); err != nil {
		return err
	}
	return f.store.Put(ctx, key, r, size)
}

// Get implements objstore.Store.
func (f *FaultyStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	cut, err := f.act(ctx, OpGet, key)
	if err != nil {
		return nil, err
	}
	r, err := f.store.Get(ctx, key, offset, length)
	if err != nil || cut == nil {
		return r, err
	}
	return &cutReader{ReadCloser: r, left: cut.CutAt, err: cut.Err}, nil
}

// cutReader ends early.
type cutReader struct {
	io.ReadCloser
	left int64
	err  error
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		if c.err != nil {
			return 0, c.err
		}
		return 0, io.EOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Stat implements objstore.Store.
func (f *FaultyStore) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if _, err := f.act(ctx, OpStat, key); err != nil {
		return objstore.Info{}, err
	}
	return f.store.Stat(ctx, key)
}

// Delete implements objstore.Store.
func (f *FaultyStore) Delete(ctx context.Context, key string) error {
	if _, err := f.act(ctx, OpDelete, key); err != nil {
		return err
	}
	return f.store.Delete(ctx, key)
}

// List implements objstore.Store.
func (f *FaultyStore) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if _, err := f.act(ctx, OpList, prefix); err != nil {
			yield(objstore.Info{}, err)
			return
		}
		for info, err := range f.store.List(ctx, prefix) {
			if !yield(info, err) {
				return
			}
		}
	}
}

// Ping implements objstore.Store.
func (f *FaultyStore) Ping(ctx context.Context) error {
	if _, err := f.act(ctx, OpPing, ""); err != nil {
		return err
	}
	return f.store.Ping(ctx)
}
