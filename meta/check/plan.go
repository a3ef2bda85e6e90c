package check

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"

	"skein/meta"
	"skein/meta/rebuild"
)

// plan tells how a damage would be mended. It changes nothing.
func (r *run) plan(ctx context.Context, t *tableState, v *verdict, action Action) (plan, error) {
	switch v.Kind {
	case Missing, WrongSize, WrongRows, Damaged, WrongBounds, WrongSchema:
		return r.planFile(ctx, t, v, action)
	case WrongPath:
		return r.planPath(ctx, t, v)
	case Doubled:
		return r.planDoubled(v), nil
	case BackupMissing:
		return plan{what: "copied to the backup", before: func(ctx context.Context) error { return r.Backup.Save(ctx, v.path) }}, nil
	case BackupDiffers:
		return r.planSpare(ctx, v)
	case Orphan:
		return r.planOrphan(ctx, v)
	case Statistics:
		return plan{what: "they are the sum of the index again", always: true}, nil
	case WrongRing:
		return plan{what: "the ring is made of the workers that live", before: r.mendRing}, nil
	}
	return plan{why: "nothing can be done from here"}, nil
}

// planFile mends a file or its entry: a sound file from the backup or the
// quarantine is the best; else the entry follows the file that is there.
func (r *run) planFile(ctx context.Context, t *tableState, v *verdict, action Action) (plan, error) {
	f := *v.entry
	if r.Backup != nil {
		spare, err := r.sound(ctx, r.Backup, &t.Table, f, f.Path)
		if err != nil {
			return plan{}, err
		}
		if spare != nil {
			return plan{what: "copied back from the backup", before: func(ctx context.Context) error {
				return r.bring(ctx, v, func(ctx context.Context) error { return r.Backup.Fetch(ctx, f.Path) })
			}}, nil
		}
	}
	if v.main == nil {
		aside, err := r.asideOf(ctx, &t.Table, f)
		if err != nil {
			return plan{}, err
		}
		if aside != nil {
			return plan{what: "copied back from " + aside.Key, before: func(ctx context.Context) error {
				return r.bring(ctx, v, func(ctx context.Context) error { return copyWithin(ctx, r.Primary, *aside, f.Path) })
			}, after: func(ctx context.Context) error { return r.save(ctx, t, f.Path) }}, nil
		}
	}
	if v.footer != nil {
		fixed, why, err := r.follow(ctx, &t.Table, v)
		if err != nil {
			return plan{}, err
		}
		if why == "" {
			return plan{what: "its entry says what the file is", edit: &edit{old: f, new: &fixed}}, nil
		}
		v.What += "; " + why
	}
	if action == Remove {
		return plan{what: fmt.Sprintf("its entry is removed, %d rows are lost", f.Rows), edit: &edit{old: f}, after: r.becomesOrphan(f.Path)}, nil
	}
	return plan{why: "there is no sound copy in the backup or the quarantine; bring one back, or let action remove take the entry out of the index, which loses its rows"}, nil
}

// bring puts a sound object in the place of what is there, which is set aside.
func (r *run) bring(ctx context.Context, v *verdict, get func(context.Context) error) error {
	now, err := statOf(ctx, r.Primary, v.path)
	if err != nil {
		return err
	}
	if (now == nil) != (v.main == nil) || now != nil && (now.Size != v.main.Size || !now.Modified.Equal(v.main.Modified)) {
		return errChanged
	}
	if now != nil {
		if err := r.copyAside(ctx, r.Primary, v.path, v.What); err != nil {
			return err
		}
	}
	return get(ctx)
}

// becomesOrphan lets an object that lost its entry be looked at with those
// without one.
func (r *run) becomesOrphan(path string) func(context.Context) error {
	return func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.orphans = append(r.orphans, &subject{path: path})
		return nil
	}
}

// follow is the entry that says what the file is; why tells why there is none.
func (r *run) follow(ctx context.Context, t *meta.Table, v *verdict) (fixed meta.File, why string, err error) {
	if err := r.Primary.Intact(ctx, v.path); unsound(err) {
		return fixed, err.Error(), nil
	} else if err != nil {
		return fixed, "", err
	}
	f, foot := *v.entry, v.footer
	if _, known := schemaOf(t, f); !known || v.Kind == WrongSchema {
		version := slices.IndexFunc(t.Schemas, func(s meta.Schema) bool { return columnsFault(s, foot.Columns) == "" })
		if version < 0 {
			return fixed, "it fits no schema of the table", nil
		}
		f.SchemaVersion = version
	}
	followID(&f, foot)
	if foot.TimesKnown {
		f.MinTime, f.MaxTime, f.NullTimes = foot.MinTime, foot.MaxTime, foot.NullTimes
		if !f.MinTime.IsZero() {
			f.Day = dayOf(f.MinTime)
		}
	} else if p, ok := rebuild.ParsePath(f.Path); ok {
		f.Day = p.Day
	}
	s, _ := schemaOf(t, f)
	again, err := r.Primary.Footer(ctx, *v.main, f, s) // ranges depend on the schema and on whether there is an id
	if err != nil {
		return fixed, "", err
	}
	f.Bytes, f.Rows, f.Ranges = v.main.Size, again.Rows, again.Ranges
	if kind, still := judge(t, f, *v.main, &again); kind != "" {
		return fixed, still, nil
	}
	return f, "", nil
}

// followID gives an entry the id of its file's rows; none if that is not
// known, which is always right.
func followID(f *meta.File, foot *Footer) {
	p, ok := rebuild.ParsePath(f.Path)
	switch id, decoded := rebuild.DecodeID(p.Segment); {
	case !f.HasID:
	case foot.IDKnown:
		f.ID, f.HasID = foot.ID, foot.ID != ""
	case ok && decoded:
		f.ID = id
	default:
		f.ID, f.HasID = "", false
	}
}

// planPath moves a file to the path that is its own.
func (r *run) planPath(ctx context.Context, t *tableState, v *verdict) (plan, error) {
	f := *v.entry
	if v.footer != nil && v.footer.Path != "" {
		f.Path = v.footer.Path
	} else {
		p, ok := rebuild.ParsePath(f.Path)
		if !ok {
			return plan{why: "neither its path nor the file tells its number; load its rows anew"}, nil
		}
		segment := p.Segment
		if f.HasID {
			segment = meta.EncodeID(f.ID)
		}
		f.Path = meta.ObjectPath(t.Name, segment, f.Day, p.Number)
	}
	if pathFault(t.Name, f) != "" || f.Path == v.path {
		return plan{why: "it was written as " + f.Path + ", which is not a path of its entry either"}, nil
	}
	taken, err := r.entriesOf(ctx, t.Name, map[string]bool{f.Path: true})
	if err != nil {
		return plan{}, err
	}
	there, err := statOf(ctx, r.Primary, f.Path)
	if err != nil {
		return plan{}, err
	}
	if len(taken.files) > 0 || there != nil && there.Size != v.main.Size {
		return plan{why: f.Path + ", where it should be, is another file"}, nil
	}
	return plan{what: "moved to " + f.Path, edit: &edit{old: *v.entry, new: &f},
		before: func(ctx context.Context) error { return copyWithin(ctx, r.Primary, *v.main, f.Path) },
		after: func(ctx context.Context) error {
			if err := r.save(ctx, t, f.Path); err != nil {
				return err
			}
			return r.becomesOrphan(v.path)(ctx)
		}}, nil
}

// save stores an object in the backup, if its table has one.
func (r *run) save(ctx context.Context, t *tableState, path string) error {
	if r.Backup == nil || !t.Config.BackupEnabled {
		return nil
	}
	return r.Backup.Save(ctx, path)
}

// planOrphan sets an object aside, but for those of tables that the catalog
// does not know and tells no end of: it may have lost them.
func (r *run) planOrphan(ctx context.Context, v *verdict) (plan, error) {
	known, err := r.ended(ctx, v.Table)
	if err != nil {
		return plan{}, err
	}
	if !known {
		return plan{why: "the catalog does not know table " + v.Table + " and tells of no drop: restore or rebuild it, or delete its objects"}, nil
	}
	return plan{what: "set aside in " + asideKey(dayOf(r.o.Now), v.path), before: func(ctx context.Context) error { return r.setAside(ctx, *v.main, v.What) }}, nil
}

// ended tells whether the catalog knows a table, or that it was dropped.
func (r *run) ended(ctx context.Context, table string) (bool, error) {
	r.asideMu.Lock()
	defer r.asideMu.Unlock()
	if r.tablesEver == nil {
		tables, err := r.Catalog.Tables(ctx)
		if err != nil {
			return false, err
		}
		changes, err := r.Catalog.History(ctx, meta.HistoryMax)
		if err != nil {
			return false, err
		}
		r.tablesEver = map[string]bool{}
		for _, t := range tables {
			r.tablesEver[t.Name] = true
		}
		for _, c := range changes {
			r.tablesEver[c.Table] = r.tablesEver[c.Table] || c.Kind == meta.ChangeDrop
		}
	}
	return r.tablesEver[table], nil
}

// planDoubled takes the file that was not named with its unit out of the index.
func (r *run) planDoubled(v *verdict) plan {
	if !sameRows(*v.entry, *v.twin) {
		return plan{why: "the two files do not tell the same of their rows; compare them by hand"}
	}
	extra := *v.entry
	id, err := ulid.ParseStrict(v.entry.Unit)
	p, ok := rebuild.ParsePath(v.entry.Path)
	if q, _ := rebuild.ParsePath(v.twin.Path); err == nil && ok && near(p, id) && !near(q, id) {
		extra = *v.twin
	}
	return plan{what: extra.Path + " is taken out of the index", edit: &edit{old: extra}, after: r.becomesOrphan(extra.Path)}
}

// planSpare stores the primary's object in the backup anew, where it is the
// one that is right: it has the size that its entry says, and the backup's has
// not, or has other bytes than were stored there.
func (r *run) planSpare(ctx context.Context, v *verdict) (plan, error) {
	if err := r.Primary.Intact(ctx, v.path); unsound(err) {
		return plan{why: "the primary store's is not whole either: " + err.Error()}, nil
	} else if err != nil {
		return plan{}, err
	}
	if v.spare.Size == v.main.Size {
		if err := r.Backup.Intact(ctx, v.path); err == nil {
			return plan{why: "both are as they were stored; compare their rows, and delete the wrong one"}, nil
		} else if !unsound(err) {
			return plan{}, err
		}
	}
	return plan{what: "copied to the backup; the other one is in the backup's quarantine", before: func(ctx context.Context) error {
		if err := r.copyAside(ctx, r.Backup, v.path, v.What); err != nil {
			return err
		}
		return r.Backup.Save(ctx, v.path)
	}}, nil
}
