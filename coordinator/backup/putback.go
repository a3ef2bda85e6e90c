package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
)

// putBack makes the index of a table that of a copy, in one step for readers.
type putBack struct {
	s      *Service
	was    *index // the table before; nil if the catalog does not know it
	target *index

	had, wants  snapshot.Set // paths of was and target
	add, remove int64        // by which they differ

	stage    string
	staged   int64        // files
	newcomer snapshot.Set // staged files that are in neither: stored since was
}

// prepare compares the two and saves the files that come back from deletion.
func (p *putBack) prepare(ctx context.Context) (err error) {
	if p.was != nil {
		if p.had, err = p.was.paths(ctx, nil); err != nil {
			return err
		}
	}
	if p.wants, err = p.target.paths(ctx, nil); err != nil {
		return err
	}
	for path := range p.wants {
		if _, both := p.had[path]; !both {
			p.add++
		}
	}
	p.remove = int64(len(p.had)) - int64(len(p.wants)) + p.add
	return p.keep(ctx)
}

// apply changes the catalog. What is too much for one commit is staged beside
// the index and takes its place.
func (p *putBack) apply(ctx context.Context) error {
	if p.was == nil {
		return p.replace(ctx)
	}
	schemas, err := longer(p.was.table.Schemas, p.target.table.Schemas)
	switch {
	case err != nil:
		return err
	case p.add+p.remove == 0:
		return nil
	case p.add+p.remove <= int64(p.s.o.commitMax) && len(schemas) == len(p.was.table.Schemas):
		err = p.commit(ctx)
	default:
		err = p.replace(ctx)
	}
	if err == nil {
		p.forget(ctx)
	}
	return err
}

// longer is the longer of two histories of a schema, of which one goes on with
// the other.
func longer(a, b []meta.Schema) ([]meta.Schema, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	for i := range b {
		x, errX := json.Marshal(a[i])
		y, errY := json.Marshal(b[i])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return nil, fault.Newf(fault.FailedPrecondition, "version %d of its schema is another one in the backup; drop it first, then restore", i+1)
		}
	}
	return a, nil
}

// commit is for a few files. It does not mind what others write meanwhile.
func (p *putBack) commit(ctx context.Context) error {
	t := p.was.table
	c := meta.Commit{Table: t.Name, TableUID: t.UID, Unit: "restore-" + ulid.Make().String(), Time: time.Now().UTC()}
	err := p.target.each(ctx, func(f meta.File) error {
		if !p.had.Has(f.Path) {
			c.Add = append(c.Add, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.was.each(ctx, func(f meta.File) error {
		if !p.wants.Has(f.Path) {
			c.Remove = append(c.Remove, f.Path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.s.Catalog.Commit(ctx, c); err != nil {
		return err
	}
	return p.s.Catalog.ForgetUnits(ctx, t.Name, []string{c.Unit})
}

// replaceTries bounds how often a replacement is tried that writes overtake.
const replaceTries = 20

// replace puts the target and what was stored since into the place of the
// table.
func (p *putBack) replace(ctx context.Context) (err error) {
	defer func() { p.dropStage(context.WithoutCancel(ctx)) }()
	for range replaceTries {
		if err = p.replaceOnce(ctx); !errors.Is(err, errOvertaken) && !errors.Is(err, meta.ErrStageGone) {
			return err
		}
		if errors.Is(err, meta.ErrStageGone) {
			p.dropStage(ctx)
		}
	}
	return fault.Newf(fault.Aborted, "it is written too often to be replaced, try again when there are fewer writes: %w", err)
}

// errOvertaken says that rows were stored between two looks.
var errOvertaken = errors.New("the table was written to meanwhile")

func (p *putBack) replaceOnce(ctx context.Context) error {
	if err := p.stageTarget(ctx); err != nil {
		return err
	}
	r := meta.Replacement{Table: remade(p.target.table), Stage: p.stage, Count: p.staged,
		Change: meta.NewChange(ctx, meta.ChangeCreate, p.target.table.Name, "made again from the backup as of "+p.target.at.Format(time.RFC3339))}
	if p.was != nil {
		err := p.s.Catalog.ReadImage(ctx, p.was.table.Name, func(img meta.Image) error { return p.present(ctx, img, &r) })
		if err != nil {
			return err
		}
	}
	_, err := p.s.Catalog.ReplaceTable(ctx, r)
	if errors.Is(err, meta.ErrConflict) {
		err = errOvertaken
		if p.was == nil {
			err = fault.New(fault.AlreadyExists, "a table of its name was made meanwhile")
		}
	}
	return err
}

// stageTarget stages the files of the copy, once.
func (p *putBack) stageTarget(ctx context.Context) error {
	if p.stage != "" {
		return nil
	}
	p.stage, p.staged, p.newcomer = "backup_"+rand.Text(), 0, snapshot.Set{}
	for page, err := range p.target.files(ctx) {
		if err != nil {
			return err
		}
		if err := p.s.Catalog.StageFiles(ctx, p.target.table.Name, p.stage, page); err != nil {
			return err
		}
		p.staged += int64(len(page))
	}
	return nil
}

// present stages what was stored since was, and fills in the replacement of
// the table as it is: its settings and what nodes hold of it stay.
func (p *putBack) present(ctx context.Context, img meta.Image, r *meta.Replacement) error {
	if img.Table.UID != p.was.table.UID {
		return meta.ErrTableNotFound
	}
	old, found := 0, 0
	for page, err := range img.Files {
		if err != nil {
			return err
		}
		var fresh []meta.File
		for _, f := range page {
			switch {
			case p.had.Has(f.Path):
				old++
			case p.newcomer.Has(f.Path):
				found++
			case !p.wants.Has(f.Path):
				fresh = append(fresh, f)
			}
		}
		if len(fresh) == 0 {
			continue
		}
		if err := p.s.Catalog.StageFiles(ctx, img.Table.Name, p.stage, fresh); err != nil {
			return err
		}
		for _, f := range fresh {
			p.newcomer.Add(f.Path)
			found++
		}
		p.staged += int64(len(fresh))
	}
	if old != len(p.had) || found != len(p.newcomer) {
		return fmt.Errorf("%d of %d files: %w", old, len(p.had), meta.ErrConflict) // others were merged into new ones, or deleted
	}
	schemas, err := longer(img.Table.Schemas, p.target.table.Schemas)
	if err != nil {
		return err
	}
	r.Table, r.Version, r.Revision, r.Units, r.Open, r.Count = img.Table, img.Version, img.Table.Revision, img.Units, img.Open, p.staged
	r.Table.Schemas = schemas
	r.Change.Kind, r.Change.What = meta.ChangeRepair, "index as of "+p.target.at.Format(time.RFC3339)
	return nil
}

func (p *putBack) dropStage(ctx context.Context) {
	if p.stage != "" {
		_ = p.s.Catalog.DropStage(ctx, p.target.table.Name, p.stage) // it ends by itself
		p.stage = ""
	}
}
