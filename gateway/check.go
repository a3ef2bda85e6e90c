package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
	olapv1 "skein/proto/olap/v1"
)

// Checks compares the catalog with the object stores. Its errors are
// classified; damage is none.
type Checks interface {
	Run(ctx context.Context, o check.Options) (check.Result, error)
}

const (
	tellEvery = 200 * time.Millisecond
	minAgeMax = 365 * 24 * time.Hour
)

// CheckCatalog implements MetaService.
func (s *Service) CheckCatalog(req *olapv1.CheckCatalogRequest, stream grpc.ServerStreamingServer[olapv1.CheckCatalogResponse]) error {
	o, err := checkOptions(req.GetScope())
	if err != nil {
		return fault.Status(err)
	}
	result, err := s.check(stream.Context(), o, func(p *olapv1.MetaProgress) {
		_ = stream.Send(&olapv1.CheckCatalogResponse{Progress: p}) // a client that is gone ends the context
	})
	if err != nil {
		return fault.Status(err)
	}
	return stream.Send(&olapv1.CheckCatalogResponse{Result: result})
}

// RepairCatalog implements MetaService.
func (s *Service) RepairCatalog(req *olapv1.RepairCatalogRequest, stream grpc.ServerStreamingServer[olapv1.RepairCatalogResponse]) error {
	o, err := checkOptions(req.GetScope())
	if err != nil {
		return fault.Status(err)
	}
	o.DryRun, o.Policy = req.GetDryRun(), check.All()
	for kind, action := range req.GetPolicy() {
		o.Policy[check.Kind(kind)] = check.Action(action)
	}
	result, err := s.check(stream.Context(), o, func(p *olapv1.MetaProgress) {
		_ = stream.Send(&olapv1.RepairCatalogResponse{Progress: p}) // likewise
	})
	if err != nil {
		return fault.Status(err)
	}
	return stream.Send(&olapv1.RepairCatalogResponse{Result: result})
}

func checkOptions(scope *olapv1.CheckScope) (check.Options, error) {
	age := scope.GetMinAgeMs()
	if age < 0 || age > minAgeMax.Milliseconds() {
		return check.Options{}, fault.Newf(fault.InvalidArgument, "min_age_ms %d: give 0 to %d, a year", age, minAgeMax.Milliseconds())
	}
	return check.Options{Tables: scope.GetTables(), From: scope.GetFrom(), Footers: int(scope.GetFooters()), AllFooters: scope.GetAllFooters(),
		Deep: scope.GetDeep(), MinAge: time.Duration(age) * time.Millisecond}, nil
}

// check runs and tells how it goes.
func (s *Service) check(ctx context.Context, o check.Options, tell func(*olapv1.MetaProgress)) (*olapv1.CheckResult, error) {
	if s.opts.Checks == nil {
		return nil, fault.New(fault.Unimplemented, "this server does not check its catalog")
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.BackupTimeout)
	defer cancel()
	o.Who = meta.WriterOf(ctx).Who
	var told time.Time
	o.Progress = func(r check.Result) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		tell(&olapv1.MetaProgress{Step: "table " + r.Table, Done: r.Objects})
	}
	r, err := s.opts.Checks.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	return checkResult(r), nil
}

func checkResult(r check.Result) *olapv1.CheckResult {
	out := &olapv1.CheckResult{Run: r.Run, DryRun: r.DryRun, Tables: r.Tables, Files: r.Files, Rows: r.Rows, Objects: r.Objects, Footers: r.Footers,
		Unread: r.Unread, Damage: r.Damage(), Summary: r.Summary()}
	for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
		c := r.Counts[kind]
		out.Counts = append(out.Counts, &olapv1.DamageCount{Kind: string(kind), Found: c.Found, Repaired: c.Repaired, Planned: c.Planned})
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, &olapv1.Finding{Kind: string(f.Kind), Table: f.Table, Path: f.Path, What: f.What, State: f.State, Did: f.Did})
	}
	return out
}
