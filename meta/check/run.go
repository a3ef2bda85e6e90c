package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/rebuild"
)

// Prefixes of the objects that are the checks' own.
const (
	QuarantinePrefix = "quarantine/"
	LogPrefix        = "metadata/checks/"
)

// closeTimeout bounds the end of the log, which is written after ctx ended too.
const closeTimeout = time.Minute

// Run checks the catalog against the stores and does what Options.Policy says.
// The result is of what was done, also if there is an error. Damage is no
// error.
func Run(ctx context.Context, d Deps, o Options) (Result, error) {
	o, err := o.complete()
	if err != nil {
		return Result{}, err
	}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	id := ulid.MustNew(ulid.Timestamp(o.Now), ulid.DefaultEntropy())
	r := &run{Deps: d, o: o, result: Result{Run: id.String(), Started: o.Now.UTC(), Who: o.Who, DryRun: o.DryRun, Policy: o.Policy, Counts: map[Kind]Count{}}}
	r.journal = journal{to: d.Primary, prefix: fmt.Sprintf("%s%s/%s/", LogPrefix, dayOf(o.Now), r.result.Run)}
	err = r.all(ctx)
	r.result.Table, r.result.Ended = "", time.Now().UTC()
	if err != nil {
		r.result.Error = err.Error()
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return r.result.clone(), errors.Join(err, r.close(limited))
}

// run is one run.
type run struct {
	Deps
	o       Options
	journal journal
	orphans []*subject  // to look at again
	version meta.Semver // of the catalog when a repair began; zero if nothing is repaired
	birth   string      // likewise

	asideMu sync.Mutex
	aside   []string // days of the quarantine; nil: not asked for yet

	tablesEver map[string]bool // that are there or were dropped; nil: not asked for yet

	mu     sync.Mutex
	result Result
}

func (r *run) count(f func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.result)
}

func (r *run) progress() {
	if r.o.Progress == nil {
		return
	}
	r.mu.Lock()
	now := r.result.clone()
	r.mu.Unlock()
	r.o.Progress(now)
}

// unread notes an object that could not be looked at. It returns err if there
// are too many, or none could be.
func (r *run) unread(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.result.Unread++; r.result.Unread == 1 {
		r.result.UnreadWhy = fmt.Sprintf("%s: %v", key, err)
	}
	if r.result.Unread >= unreadMax {
		return fmt.Errorf("%d objects cannot be read, such as %s: %w", r.result.Unread, key, err)
	}
	return nil
}

func (r *run) all(ctx context.Context) (err error) {
	if r.o.Policy.Changes() && !r.o.DryRun {
		if r.birth, err = r.Catalog.Birth(ctx); err != nil {
			return err
		}
		if r.version, err = r.Catalog.CatalogVersion(ctx); err != nil {
			return err
		}
	}
	tables, err := r.Catalog.Tables(ctx)
	if err != nil {
		return err
	}
	if len(r.o.Tables) > 0 {
		for _, name := range r.o.Tables {
			if !slices.ContainsFunc(tables, func(t meta.Table) bool { return t.Name == name }) {
				return fmt.Errorf("table %s: %w", name, meta.ErrTableNotFound)
			}
		}
		tables = slices.DeleteFunc(tables, func(t meta.Table) bool { return !slices.Contains(r.o.Tables, t.Name) })
	} else if err := r.ring(ctx); err != nil {
		return fmt.Errorf("hash ring: %w", err)
	}
	if err := r.tables(ctx, tables); err != nil {
		return err
	}
	return r.settleOrphans(ctx)
}

// tables checks one table after the other, and between them what is of none.
// No character of a name comes before the slash, so names are in the order of
// keys.
func (r *run) tables(ctx context.Context, tables []meta.Table) error {
	whole := len(r.o.Tables) == 0
	objects := noCursor()
	if whole {
		objects = newCursor(r.Primary.List(ctx, ""))
	}
	defer func() { objects.stop() }()
	for _, t := range tables {
		if t.Name < r.o.From {
			continue
		}
		prefix := t.Name + "/"
		if !whole {
			objects.stop()
			objects = newCursor(r.Primary.List(ctx, prefix))
		}
		for objects.before(prefix) {
			if err := r.stranger(ctx, objects); err != nil {
				return err
			}
		}
		if err := r.table(ctx, t.Name, objects); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	for objects.has {
		if err := r.stranger(ctx, objects); err != nil {
			return err
		}
	}
	return objects.err
}

// stranger takes an object that is under no table.
func (r *run) stranger(ctx context.Context, objects *cursor) error {
	o := objects.head
	objects.pop()
	r.count(func(res *Result) { res.Objects++ })
	if strings.HasPrefix(o.Key, QuarantinePrefix) || strings.HasPrefix(o.Key, "metadata/") || o.Key < r.o.From {
		return ctx.Err()
	}
	return r.orphan(ctx, nil, o)
}

// orphan takes an object without an entry. t is its table; nil if there is
// none.
func (r *run) orphan(ctx context.Context, t *tableState, o Object) error {
	p, ok := rebuild.ParsePath(o.Key)
	if !ok {
		r.count(func(res *Result) { res.Foreign++ })
		return ctx.Err()
	}
	if !r.old(p, o) || t != nil && t.mayWrite(p) {
		r.count(func(res *Result) { res.Young++ })
		return ctx.Err()
	}
	r.orphans = append(r.orphans, &subject{path: o.Key, main: &o})
	if len(r.orphans) >= suspectsMax {
		return r.settleOrphans(ctx)
	}
	return ctx.Err()
}

// old tells whether an object is so old that nobody is about to commit it. A
// file's number is the time when it was named.
func (r *run) old(p rebuild.Path, o Object) bool {
	named := p.Number / 1_000_000
	return r.o.Now.Sub(o.Modified) >= r.o.MinAge && r.o.Now.UnixMilli()-named >= r.o.MinAge.Milliseconds()
}

// close ends the log and notes what was repaired in the catalog's history.
func (r *run) close(ctx context.Context) error {
	if !r.journal.begun {
		return nil
	}
	err := errors.Join(r.journal.end(ctx, r.result), r.journal.prune(ctx, r.o.Now))
	if n := r.result.Total().Repaired; n > 0 {
		what := fmt.Sprintf("%d repairs of check %s, told in %s", n, r.result.Run, r.journal.prefix)
		_, recordErr := r.Catalog.Record(meta.BasedOn(ctx, meta.Semver{}), meta.NewChange(ctx, meta.ChangeRepair, "", what))
		err = errors.Join(err, recordErr)
	}
	return err
}

func notFound(err error) bool { return fault.CodeOf(err) == fault.NotFound }

// unsound tells an error that is the object's, not the store's.
func unsound(err error) bool { return fault.CodeOf(err) == fault.FailedPrecondition }
