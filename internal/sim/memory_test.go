package sim

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/meta"
	"skein/meta/metatest"
)

// memory is a meta.Store without a disk: many schedules need many catalogs.
type memory struct {
	mu      sync.Mutex
	tables  map[string]*memoryTable
	stages  map[string]map[string]meta.File // by table and stage
	nodes   map[string]meta.Node
	ring    meta.Ring
	locks   map[string]*memoryLock
	birth   string
	version meta.Semver
	history []meta.Change // oldest first
}

type memoryTable struct {
	meta.Table
	index int64 // Listing.Version
	files map[string]meta.File
	units map[string]bool
	by    map[string]string // committed unit -> node, where another might have
	open  map[string]string // unit -> node
}

type memoryLock struct {
	owner string
	until time.Time
	token int64
}

func newMemory() *memory {
	return &memory{tables: map[string]*memoryTable{}, stages: map[string]map[string]meta.File{}, nodes: map[string]meta.Node{},
		locks: map[string]*memoryLock{}, birth: rand.Text(), version: meta.FirstVersion}
}

func TestMemory(t *testing.T) {
	metatest.Run(t, func(*testing.T) meta.Store { return newMemory() })
}

// within runs f alone, unless ctx has ended.
func (s *memory) within(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

func (s *memory) table(name string) (*memoryTable, error) {
	if t := s.tables[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%.80s: %w", name, meta.ErrTableNotFound)
}

func (s *memory) incarnation(name, uid string) (*memoryTable, error) {
	t, err := s.table(name)
	if err == nil && t.UID != uid {
		return nil, fmt.Errorf("%s, made anew meanwhile: %w", name, meta.ErrTableNotFound)
	}
	return t, err
}

func (t *memoryTable) grow() { t.index = max(t.index+1, time.Now().UnixMicro()) }

// read is the table with its statistics.
func (t *memoryTable) read() meta.Table {
	out := t.Table
	out.Schemas, out.Config.Properties = slices.Clone(t.Schemas), maps.Clone(t.Config.Properties)
	out.Stats = meta.Stats{LastWrite: t.Stats.LastWrite}
	for _, f := range t.files {
		out.Stats.Files++
		out.Stats.Rows += f.Rows
		out.Stats.Bytes += f.Bytes
		if o := out.Stats.Oldest; !f.MinTime.IsZero() && (o.IsZero() || f.MinTime.Before(o)) {
			out.Stats.Oldest = f.MinTime
		}
		if f.MaxTime.After(out.Stats.Newest) {
			out.Stats.Newest = f.MaxTime
		}
	}
	return out
}

func (t *memoryTable) sorted() []meta.File {
	return slices.SortedFunc(maps.Values(t.files), func(a, b meta.File) int { return cmp.Compare(a.Path, b.Path) })
}

func (t *memoryTable) opened() (open []meta.OpenUnit) {
	for unit, node := range t.open {
		open = append(open, meta.HeldUnit(unit, node))
	}
	slices.SortFunc(open, meta.OpenUnit.Compare)
	return open
}

func keep(t meta.Table) *memoryTable {
	t.Created, t.Stats = t.Created.UTC(), meta.Stats{LastWrite: t.Stats.LastWrite.UTC()}
	t.Schemas, t.Config.Properties = slices.Clone(t.Schemas), maps.Clone(t.Config.Properties)
	return &memoryTable{Table: t, files: map[string]meta.File{}, units: map[string]bool{}, by: map[string]string{}, open: map[string]string{}}
}

func (s *memory) CreateTable(ctx context.Context, t meta.Table) error {
	if err := t.Validate(); err != nil {
		return err
	}
	return s.within(ctx, func() error {
		if s.tables[t.Name] != nil {
			return fmt.Errorf("%s: %w", t.Name, meta.ErrTableExists)
		}
		if _, err := s.record(ctx, meta.NewChange(ctx, meta.ChangeCreate, t.Name, "")); err != nil {
			return err
		}
		t.Stats = meta.Stats{}
		s.tables[t.Name] = keep(t)
		s.tables[t.Name].grow()
		return nil
	})
}

func (s *memory) Table(ctx context.Context, name string) (out meta.Table, err error) {
	err = s.within(ctx, func() error {
		t, err := s.table(name)
		if err == nil {
			out = t.read()
		}
		return err
	})
	return out, err
}

func (s *memory) Tables(ctx context.Context) (all []meta.Table, err error) {
	err = s.within(ctx, func() error {
		for _, name := range slices.Sorted(maps.Keys(s.tables)) {
			all = append(all, s.tables[name].read())
		}
		return nil
	})
	return all, err
}

func (s *memory) UpdateTable(ctx context.Context, t meta.Table) (out meta.Table, err error) {
	err = s.within(ctx, func() error {
		stored, err := s.table(t.Name)
		if err != nil {
			return err
		}
		if stored.UID != t.UID || stored.Revision != t.Revision {
			return fmt.Errorf("table %s: %w", t.Name, meta.ErrConflict)
		}
		if _, err := s.record(ctx, meta.UpdateChange(ctx, stored.Table, t)); err != nil {
			return err
		}
		stored.Config, stored.Schemas = t.Config, slices.Clone(t.Schemas)
		stored.Config.Properties = maps.Clone(t.Config.Properties)
		stored.Revision++
		out = stored.read()
		return nil
	})
	return out, err
}

func (s *memory) DropTable(ctx context.Context, name, uid string) (files []meta.File, err error) {
	err = s.within(ctx, func() error {
		t, err := s.incarnation(name, uid)
		if err == nil {
			_, err = s.record(ctx, meta.NewChange(ctx, meta.ChangeDrop, name, fmt.Sprintf("%d files, %d rows", len(t.files), t.read().Stats.Rows)))
		}
		if err != nil {
			return err
		}
		files = t.sorted()
		delete(s.tables, name)
		return nil
	})
	return files, err
}

func (s *memory) OpenUnit(ctx context.Context, table, uid string, u meta.OpenUnit) error {
	if err := u.Validate(); err != nil {
		return err
	}
	return s.within(ctx, func() error {
		t, err := s.incarnation(table, uid)
		if err != nil {
			return err
		}
		if node, ok := t.open[u.Unit]; t.units[u.Unit] || ok && node == u.Holder() {
			return nil
		}
		t.open[u.Unit] = u.Holder()
		t.grow()
		return nil
	})
}

func (s *memory) Commit(ctx context.Context, c meta.Commit) error {
	if err := c.Validate(); err != nil {
		return err
	}
	return s.within(ctx, func() error {
		t, err := s.incarnation(c.Table, c.TableUID)
		if err != nil {
			return err
		}
		if t.units[c.Unit] {
			return c.Repeated(t.by[c.Unit])
		}
		if err := s.fenced(ctx); err != nil {
			return err
		}
		if _, open := t.open[c.Unit]; c.IfOpen && !open {
			return meta.ErrUnitNotOpen
		}
		for _, path := range c.Remove {
			if _, ok := t.files[path]; !ok {
				return fmt.Errorf("file %s is not in the index: %w", path, meta.ErrConflict)
			}
		}
		for _, path := range c.Remove {
			delete(t.files, path)
		}
		for _, f := range c.Add {
			f.MinTime, f.MaxTime = f.MinTime.UTC(), f.MaxTime.UTC()
			t.files[f.Path] = f
		}
		if c.Time.After(t.Stats.LastWrite) {
			t.Stats.LastWrite = c.Time.UTC()
		}
		t.units[c.Unit], t.by[c.Unit] = true, c.By
		delete(t.open, c.Unit)
		t.grow()
		return nil
	})
}

func (s *memory) ForgetUnits(ctx context.Context, table string, units []string) error {
	return s.within(ctx, func() error {
		t := s.tables[table]
		for _, u := range units {
			if t != nil && t.units[u] {
				delete(t.units, u)
				delete(t.by, u)
				t.grow()
			}
		}
		return nil
	})
}

func (s *memory) Units(ctx context.Context, table string) (u meta.Units, err error) {
	err = s.within(ctx, func() error {
		t, err := s.table(table)
		if err == nil {
			u = meta.Units{Committed: maps.Clone(t.units), Open: t.opened()}
		}
		return err
	})
	return u, err
}

func (s *memory) Version(ctx context.Context, table string) (version int64, err error) {
	err = s.within(ctx, func() error {
		t, err := s.table(table)
		if err == nil {
			version = t.index
		}
		return err
	})
	return version, err
}

func (s *memory) Listing(ctx context.Context, table string) (l meta.Listing, err error) {
	err = s.within(ctx, func() error {
		t, err := s.table(table)
		if err == nil {
			l = meta.Listing{Version: t.index, Files: t.sorted(), Units: maps.Clone(t.units), Open: t.opened()}
		}
		return err
	})
	return l, err
}

func (s *memory) Heartbeat(ctx context.Context, n meta.Node) error {
	if err := n.Validate(); err != nil {
		return err
	}
	return s.within(ctx, func() error {
		n.LastHeartbeat, n.Started, n.Age, n.Left = time.Now().UTC(), n.Started.UTC(), 0, false
		s.nodes[n.ID] = n
		return nil
	})
}

func (s *memory) Leave(ctx context.Context, id string) error {
	return s.within(ctx, func() error {
		if n, ok := s.nodes[id]; ok {
			n.Left = true
			s.nodes[id] = n
		}
		return nil
	})
}

func (s *memory) Nodes(ctx context.Context) (all []meta.Node, err error) {
	err = s.within(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
			n := s.nodes[id]
			n.Age = max(0, time.Since(n.LastHeartbeat))
			all = append(all, n)
		}
		return nil
	})
	return all, err
}

func (s *memory) Reap(ctx context.Context, expiry time.Duration) (reaped []string, err error) {
	err = s.within(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
			if n := s.nodes[id]; !n.Left && time.Since(n.LastHeartbeat) > expiry {
				n.Left = true
				s.nodes[id] = n
				reaped = append(reaped, id)
			}
		}
		return nil
	})
	return reaped, err
}

func (s *memory) Ring(ctx context.Context) (r meta.Ring, err error) {
	err = s.within(ctx, func() error { r = s.ring; return nil })
	return r, err
}

func (s *memory) SetRing(ctx context.Context, r meta.Ring) error {
	return s.within(ctx, func() error {
		if s.ring.Equal(r) {
			return nil
		}
		if err := s.fenced(ctx); err != nil {
			return err
		}
		s.ring = r.Normal()
		return nil
	})
}

func (s *memory) Birth(ctx context.Context) (birth string, err error) {
	err = s.within(ctx, func() error { birth = s.birth; return nil })
	return birth, err
}

func (s *memory) CatalogVersion(ctx context.Context) (v meta.Semver, err error) {
	err = s.within(ctx, func() error { v = s.version; return nil })
	return v, err
}

func (s *memory) History(ctx context.Context, limit int) (changes []meta.Change, err error) {
	err = s.within(ctx, func() error {
		changes = s.newest()
		changes = changes[:max(0, min(limit, len(changes)))]
		return nil
	})
	return changes, err
}

func (s *memory) newest() []meta.Change {
	changes := slices.Clone(s.history[max(0, len(s.history)-meta.HistoryMax):])
	slices.Reverse(changes)
	return changes
}

func (s *memory) Record(ctx context.Context, c meta.Change) (recorded meta.Change, err error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	err = s.within(ctx, func() error {
		recorded, err = s.record(ctx, c)
		return err
	})
	return recorded, err
}

func (s *memory) record(ctx context.Context, c meta.Change) (meta.Change, error) {
	if err := s.fenced(ctx); err != nil {
		return c, err
	}
	base := meta.WriterOf(ctx).Base
	if !base.IsZero() && base != s.version {
		if err := meta.ConflictSince(base, s.version, s.newest(), c.Table); err != nil {
			return c, err
		}
	}
	c = c.After(s.version, base)
	s.version, s.history = c.Version, append(s.history, c)
	return c, nil
}

func (s *memory) fenced(ctx context.Context) error {
	w := meta.WriterOf(ctx)
	if l := s.locks[w.Operation]; l != nil && l.token > w.Token {
		return fmt.Errorf("%s: %w", w.Operation, meta.ErrFenced)
	}
	return nil
}

func (s *memory) Lock(ctx context.Context, operation, owner string, ttl time.Duration) (token int64, err error) {
	if err := meta.ValidateLock(operation, owner, ttl); err != nil {
		return 0, err
	}
	err = s.within(ctx, func() error {
		l, now := s.locks[operation], time.Now()
		if l == nil {
			l = &memoryLock{}
			s.locks[operation] = l
		}
		live := l.owner != "" && now.Before(l.until)
		if live && l.owner != owner {
			return fmt.Errorf("%s: %w", operation, meta.ErrLocked)
		}
		if !live {
			l.token++
		}
		l.owner, l.until, token = owner, now.Add(ttl), l.token
		return nil
	})
	return token, err
}

func (s *memory) Unlock(ctx context.Context, operation, owner string) error {
	return s.within(ctx, func() error {
		if l := s.locks[operation]; l != nil && l.owner == owner {
			l.owner = ""
		}
		return nil
	})
}

func (s *memory) Ping(ctx context.Context) error { return ctx.Err() }
func (s *memory) Close() error                   { return nil }

var _ meta.Store = (*memory)(nil)
