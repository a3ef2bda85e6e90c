package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"skein/meta"
)

const (
	noteSuffix     = ".json"
	quarantineDays = 30 // that a lost file is looked for
)

// Note lies beside an object in the quarantine.
type Note struct {
	Path  string    `json:"path"` // that it had
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Run   string    `json:"run"`
	Who   string    `json:"who,omitempty"`
	Bytes int64     `json:"bytes"`
	Back  string    `json:"back"` // how to bring it back
}

// asideKey is where the quarantine keeps an object of a path.
func asideKey(day, path string) string { return QuarantinePrefix + day + "/" + path }

// copyAside copies an object to the quarantine, with a note.
func (r *run) copyAside(ctx context.Context, in Objects, path, why string) error {
	o, err := in.Stat(ctx, path)
	if err != nil {
		return err
	}
	to := asideKey(dayOf(r.o.Now), path)
	if err := copyWithin(ctx, in, o, to); err != nil {
		return err
	}
	text, err := json.MarshalIndent(Note{Path: path, Why: why, At: r.o.Now.UTC(), Run: r.result.Run, Who: r.o.Who, Bytes: o.Size,
		Back: fmt.Sprintf("copy this object to %s; if no index names it then, rebuild the index of its table", path)}, "", "  ")
	if err != nil {
		return err
	}
	return in.Put(ctx, to+noteSuffix, bytes.NewReader(text), int64(len(text)))
}

// setAside moves an object to the quarantine. If it has been stored anew since
// it was looked at, nothing happens.
func (r *run) setAside(ctx context.Context, seen Object, why string) error {
	if err := r.copyAside(ctx, r.Primary, seen.Key, why); err != nil {
		return err
	}
	now, err := r.Primary.Stat(ctx, seen.Key)
	if err != nil {
		return err
	}
	if now.Size != seen.Size || !now.Modified.Equal(seen.Modified) {
		return errChanged
	}
	if r.Still != nil {
		if err := r.Still(ctx); err != nil {
			return err
		}
	}
	return r.Primary.Delete(ctx, seen.Key)
}

// lookAfter brings back what was set aside and is named by an index after all.
func (r *run) lookAfter(ctx context.Context, verdicts []*verdict) error {
	var moved []*subject
	for _, v := range verdicts {
		if v.Kind == Orphan && v.State == StateRepaired {
			moved = append(moved, v.subject)
		}
	}
	left, err := r.notIndexed(ctx, slices.Clone(moved))
	if err != nil || len(left) == len(moved) {
		return err
	}
	return r.each(ctx, verdicts, func(ctx context.Context, _ int, v *verdict) error {
		if v.Kind != Orphan || v.State != StateRepaired || slices.Contains(left, v.subject) {
			return nil
		}
		o := *v.main
		o.Key = asideKey(dayOf(r.o.Now), v.path)
		v.State, v.Did = StateChanged, errChanged.Error()
		return copyWithin(ctx, r.Primary, o, v.path)
	})
}

// copyWithin copies an object to another key of the same store.
func copyWithin(ctx context.Context, in Objects, o Object, to string) error {
	body, err := in.Get(ctx, o.Key)
	if err != nil {
		return err
	}
	defer body.Close()
	return in.Put(ctx, to, body, o.Size)
}

// asideOf finds a sound file of the entry in the quarantine of the last days.
func (r *run) asideOf(ctx context.Context, t *meta.Table, f meta.File) (*Object, error) {
	days, err := r.asideDays(ctx)
	if err != nil {
		return nil, err
	}
	for _, day := range days {
		o, err := r.sound(ctx, r.Primary, t, f, asideKey(day, f.Path))
		if o != nil || err != nil {
			return o, err
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// asideDays are the last days of which the quarantine has anything, the newest
// first.
func (r *run) asideDays(ctx context.Context) ([]string, error) {
	r.asideMu.Lock()
	defer r.asideMu.Unlock()
	if r.aside != nil {
		return r.aside, nil
	}
	days := []string{}
	for i := range quarantineDays {
		day := dayOf(r.o.Now.AddDate(0, 0, -i))
		for _, err := range r.Primary.List(ctx, asideKey(day, "")) {
			if err != nil {
				return nil, err
			}
			days = append(days, day)
			break
		}
	}
	r.aside = days
	return days, nil
}

// sound returns the object if it is all that the entry says.
func (r *run) sound(ctx context.Context, in Objects, t *meta.Table, f meta.File, key string) (*Object, error) {
	o, err := statOf(ctx, in, key)
	if o == nil || err != nil || o.Size != f.Bytes {
		return nil, err
	}
	s, _ := schemaOf(t, f)
	foot, err := in.Footer(ctx, *o, f, s)
	if err == nil {
		err = in.Intact(ctx, key)
	}
	if unsound(err) || notFound(err) {
		return nil, nil //nolint:nilnil // it is not
	}
	if err != nil {
		return nil, err
	}
	if kind, _ := judge(t, f, *o, &foot); kind != "" {
		return nil, nil //nolint:nilnil // it is not
	}
	return o, nil
}
