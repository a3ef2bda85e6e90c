package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"skein/meta"
)

func (s *memory) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	var img meta.Image
	err := s.within(ctx, func() error {
		t, err := s.table(table)
		if err != nil {
			return err
		}
		files := t.sorted()
		img = meta.Image{Table: t.read(), Version: t.index, Units: slices.Sorted(maps.Keys(t.units)), Open: t.opened(), Count: int64(len(files)),
			Files: func(yield func([]meta.File, error) bool) {
				for page := range slices.Chunk(files, meta.PageMax) {
					if err := ctx.Err(); err != nil {
						yield(nil, err)
						return
					}
					if !yield(page, nil) {
						return
					}
				}
			}}
		return nil
	})
	if err != nil {
		return err
	}
	return f(img)
}

func (s *memory) StageFiles(ctx context.Context, table, stage string, files []meta.File) error {
	if err := meta.ValidateStage(table, stage, files); err != nil {
		return err
	}
	return s.within(ctx, func() error {
		key := table + "\x00" + stage
		if s.stages[key] == nil {
			s.stages[key] = map[string]meta.File{}
		}
		for _, f := range files {
			if _, ok := s.stages[key][f.Path]; !ok {
				f.MinTime, f.MaxTime = f.MinTime.UTC(), f.MaxTime.UTC()
				s.stages[key][f.Path] = f
			}
		}
		return nil
	})
}

func (s *memory) DropStage(ctx context.Context, table, stage string) error {
	if err := meta.ValidateStage(table, stage, nil); err != nil {
		return err
	}
	return s.within(ctx, func() error { delete(s.stages, table+"\x00"+stage); return nil })
}

func (s *memory) ReplaceTable(ctx context.Context, r meta.Replacement) (out meta.Table, err error) {
	if err := r.Validate(); err != nil {
		return out, err
	}
	err = s.within(ctx, func() error {
		version, revision := int64(0), int64(0)
		if old := s.tables[r.Table.Name]; old != nil {
			version, revision = old.index, old.Revision
		}
		if version != r.Version || revision != r.Revision {
			return fmt.Errorf("table %s: %w", r.Table.Name, meta.ErrConflict)
		}
		key := r.Table.Name + "\x00" + r.Stage
		if int64(len(s.stages[key])) != r.Count {
			return fmt.Errorf("table %s: %w", r.Table.Name, meta.ErrStageGone)
		}
		if _, err := s.record(ctx, r.Change); err != nil {
			return err
		}
		t := keep(r.Stored())
		maps.Copy(t.files, s.stages[key])
		delete(s.stages, key)
		for _, u := range r.Units {
			t.units[u] = true
		}
		for _, u := range r.Open {
			t.open[u.Unit] = u.Node
		}
		t.index = version
		t.grow()
		s.tables[t.Name] = t
		out = t.read()
		return nil
	})
	return out, err
}
