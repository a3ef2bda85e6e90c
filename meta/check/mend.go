package check

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"skein/meta"
)

// plan is how a damage would be mended: what is empty if it cannot be, and why
// tells the reason.
type plan struct {
	what, why string
	before    func(context.Context) error // on the objects
	edit      *edit                       // of the index, then
	after     func(context.Context) error // then
	always    bool                        // the index is written anew without an edit
}

// mend does about damage what the policy says, and tells of it. t is its table;
// nil for what belongs to none.
func (r *run) mend(ctx context.Context, t *tableState, verdicts []*verdict) error {
	plans := make([]plan, len(verdicts))
	err := r.each(ctx, verdicts, func(ctx context.Context, i int, v *verdict) error {
		v.State = StateFound
		action := r.o.Policy.of(v.Kind)
		if action == Report {
			return nil
		}
		p, err := r.plan(ctx, t, v, action)
		switch {
		case err != nil:
			v.State, v.Did = StateFailed, err.Error()
		case p.what == "":
			v.State, v.Did = StateLeft, p.why
		default:
			v.State, v.Did, plans[i] = StatePlanned, p.what, p
		}
		return nil
	})
	if err == nil && !r.o.DryRun {
		err = r.carryOut(ctx, t, verdicts, plans)
	}
	for _, v := range verdicts {
		r.tell(v.Finding)
	}
	r.progress()
	return err
}

// each calls f for all verdicts, several at a time. Only the end of ctx ends
// it.
func (r *run) each(ctx context.Context, verdicts []*verdict, f func(ctx context.Context, i int, v *verdict) error) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.o.Parallel)
	for i, v := range verdicts {
		group.Go(func() error { return errors.Join(f(gctx, i, v), gctx.Err()) })
	}
	return group.Wait()
}

// carryOut notes what is planned, then does it: first the objects, then the
// index in one step, then what follows.
func (r *run) carryOut(ctx context.Context, t *tableState, verdicts []*verdict, plans []plan) error {
	var intended []Finding
	for _, v := range verdicts {
		if v.State == StatePlanned {
			intended = append(intended, v.Finding)
		}
	}
	if len(intended) == 0 {
		return nil
	}
	if err := r.journal.intend(ctx, intended); err != nil {
		return err
	}
	if err := r.step(ctx, verdicts, plans, func(p plan) func(context.Context) error { return p.before }); err != nil {
		return err
	}
	if err := r.editIndex(ctx, t, verdicts, plans); err != nil {
		return err
	}
	if err := r.step(ctx, verdicts, plans, func(p plan) func(context.Context) error { return p.after }); err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.State == StatePlanned {
			v.State = StateRepaired
		}
	}
	if t == nil {
		return r.lookAfter(ctx, verdicts)
	}
	return nil
}

// step does one part of the plans that go on.
func (r *run) step(ctx context.Context, verdicts []*verdict, plans []plan, part func(plan) func(context.Context) error) error {
	return r.each(ctx, verdicts, func(ctx context.Context, i int, v *verdict) error {
		do := part(plans[i])
		if v.State != StatePlanned || do == nil {
			return nil
		}
		switch err := do(ctx); {
		case errors.Is(err, meta.ErrFenced):
			return err
		case errors.Is(err, errChanged), notFound(err):
			v.State, v.Did = StateChanged, err.Error()
		case err != nil:
			v.State, v.Did = StateFailed, err.Error()
		}
		return nil
	})
}

// editIndex makes the edits of the plans that go on.
func (r *run) editIndex(ctx context.Context, t *tableState, verdicts []*verdict, plans []plan) error {
	edits, always := map[string]*edit{}, false
	for i, v := range verdicts {
		if v.State != StatePlanned {
			continue
		}
		if e := plans[i].edit; e != nil {
			edits[e.old.Path] = e
		}
		always = always || plans[i].always
	}
	if len(edits) == 0 && !always {
		return nil
	}
	made, err := r.rewrite(ctx, t, edits, always)
	if errors.Is(err, meta.ErrFenced) {
		return err
	}
	for i, v := range verdicts {
		p := plans[i]
		if v.State != StatePlanned || p.edit == nil && !p.always {
			continue
		}
		switch {
		case err != nil:
			v.State, v.Did = StateFailed, err.Error()
		case p.edit != nil && !made[p.edit.old.Path]:
			v.State, v.Did = StateChanged, errChanged.Error()
		}
	}
	return ctx.Err()
}

// tell counts a finding and hands it on.
func (r *run) tell(f Finding) {
	r.count(func(res *Result) {
		c := res.Counts[f.Kind]
		c.Found++
		switch f.State {
		case StateRepaired:
			c.Repaired++
		case StatePlanned:
			c.Planned++
		}
		res.Counts[f.Kind] = c
		if len(res.Findings) < findingsMax {
			res.Findings = append(res.Findings, f)
		}
	})
	if r.o.Found != nil {
		r.o.Found(f)
	}
}
