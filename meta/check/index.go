package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"skein/meta"
)

// edit is a change of one entry.
type edit struct {
	old meta.File  // as it was looked at
	new *meta.File // nil: it goes
}

// rewrite puts an index with the edits in the place of the table's, in one
// step, with statistics that are its sum. An edit whose entry is not what was
// looked at is left out; it tells which were made. With no edit left it does
// so only if always is set.
func (r *run) rewrite(ctx context.Context, t *tableState, edits map[string]*edit, always bool) (made map[string]bool, err error) {
	for range attemptsMax {
		made, err = r.tryRewrite(ctx, t, edits, always)
		if !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrStageGone) {
			return made, err
		}
	}
	return nil, fmt.Errorf("index of table %s: it changed %d times meanwhile, repair it when less is written: %w", t.Name, attemptsMax, err)
}

func (r *run) tryRewrite(ctx context.Context, t *tableState, edits map[string]*edit, always bool) (map[string]bool, error) {
	var img meta.Image
	files := &sorter{dir: r.o.Dir}
	defer files.close()
	made := map[string]bool{}
	removed := 0
	err := r.Catalog.ReadImage(ctx, t.Name, func(now meta.Image) error {
		img = now
		img.Count = 0
		for page, err := range now.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				if e := edits[f.Path]; e != nil && sameFile(e.old, f) {
					made[f.Path] = true
					if e.new == nil {
						removed++
						continue
					}
					f = *e.new
				}
				img.Count++
				if err := files.add(f); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if img.Table.UID != t.UID {
		return nil, fmt.Errorf("%s, made anew meanwhile: %w", t.Name, meta.ErrTableNotFound)
	}
	if len(made) == 0 && !always {
		return made, nil
	}
	what := fmt.Sprintf("check %s: %d entries of the index corrected, %d removed", r.result.Run, len(made)-removed, removed)
	return made, r.replace(ctx, img, files, what)
}

// replace stages the files and lets them take the place of the table's.
func (r *run) replace(ctx context.Context, img meta.Image, files *sorter, what string) (err error) {
	stage, name := "check_"+rand.Text(), img.Table.Name
	defer func() {
		if err != nil {
			_ = r.Catalog.DropStage(context.WithoutCancel(ctx), name, stage) // it ends by itself
		}
	}()
	var page []meta.File
	put := func() error {
		err := r.Catalog.StageFiles(ctx, name, stage, page)
		page = page[:0]
		return err
	}
	for f, err := range files.all() {
		if err != nil {
			return err
		}
		if page = append(page, f); len(page) == meta.PageMax {
			if err := put(); err != nil {
				return err
			}
		}
	}
	if err := put(); err != nil {
		return err
	}
	_, err = r.Catalog.ReplaceTable(ctx, meta.Replacement{Table: img.Table, Units: img.Units, Open: img.Open, Stage: stage, Count: img.Count,
		Version: img.Version, Revision: img.Table.Revision, Change: meta.NewChange(ctx, meta.ChangeRepair, name, what)})
	return err
}
