package gateway

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/coordinator/catalog"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
	olapv1 "skein/proto/olap/v1"
)

// Catalog is what the front door asks of the service that looks after the
// catalog. Its errors are classified. tell hears how it goes, one call at a
// time; it may be nil.
type Catalog interface {
	Version(ctx context.Context) (meta.Semver, error)
	Changes(ctx context.Context, table string, limit int) ([]meta.Change, error)
	Members(ctx context.Context) ([]meta.Node, error)
	Ring(ctx context.Context) (meta.Ring, error)
	LeaderNow(ctx context.Context) (catalog.Leading, error)
	Usable(ctx context.Context) error // FailedPrecondition if the catalog was lost

	Snapshot(ctx context.Context, tell func(catalog.Progress)) (catalog.Made, error)
	Snapshots(ctx context.Context) ([]catalog.Snapshot, error)
	Restore(ctx context.Context, r catalog.RestoreRequest, tell func(catalog.Progress)) (catalog.Restored, error)
	Rebuild(ctx context.Context, r catalog.RebuildRequest, tell func(catalog.Progress)) (catalog.Rebuilt, error)
}

const (
	changesDefault = 50
	namesMax       = 10_000 // tables that a request names
)

var errNoCatalog = fault.New(fault.Unimplemented, "this server does not look after its catalog")

// looking bounds a call that only reads.
func (s *Service) looking(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.opts.Catalog == nil {
		return ctx, func() {}, errNoCatalog
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	return ctx, cancel, nil
}

// GetVersion implements MetaService.
func (s *Service) GetVersion(ctx context.Context, _ *olapv1.GetVersionRequest) (*olapv1.GetVersionResponse, error) {
	ctx, cancel, err := s.looking(ctx)
	defer cancel()
	if err != nil {
		return nil, fault.Status(err)
	}
	v, err := s.opts.Catalog.Version(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	leader, err := s.opts.Catalog.LeaderNow(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.GetVersionResponse{Version: v.String(), Layout: layoutText, Leader: leader.Node, LeaderSince: stamp(leader.Since)}
	if err := s.opts.Catalog.Usable(ctx); fault.CodeOf(err) == fault.FailedPrecondition && err != nil {
		resp.Lost = err.Error()
	}
	all, err := s.opts.Catalog.Snapshots(ctx)
	if err == nil && len(all) > 0 {
		resp.Snapshot, resp.SnapshotAt = all[0].Key, stamp(all[0].At)
	}
	return resp, fault.Status(err)
}

// ListChanges implements MetaService.
func (s *Service) ListChanges(ctx context.Context, req *olapv1.ListChangesRequest) (*olapv1.ListChangesResponse, error) {
	ctx, cancel, err := s.looking(ctx)
	defer cancel()
	limit := int(req.GetLimit())
	switch {
	case err != nil:
		return nil, fault.Status(err)
	case limit < 0 || limit > meta.HistoryMax:
		return nil, fault.Status(fault.Newf(fault.InvalidArgument, "limit %d: give 0 to %d", limit, meta.HistoryMax))
	case limit == 0:
		limit = changesDefault
	}
	changes, err := s.opts.Catalog.Changes(ctx, req.GetTable(), limit)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.ListChangesResponse{}
	for _, c := range changes {
		resp.Changes = append(resp.Changes, &olapv1.Change{Version: c.Version.String(), Base: c.Base.String(), Merged: c.Merged,
			Kind: c.Kind, Table: c.Table, What: c.What, Who: c.Who, At: stamp(c.At)})
	}
	return resp, nil
}

// ListSnapshots implements MetaService.
func (s *Service) ListSnapshots(ctx context.Context, _ *olapv1.ListSnapshotsRequest) (*olapv1.ListSnapshotsResponse, error) {
	ctx, cancel, err := s.looking(ctx)
	defer cancel()
	if err != nil {
		return nil, fault.Status(err)
	}
	all, err := s.opts.Catalog.Snapshots(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.ListSnapshotsResponse{}
	for _, one := range all {
		resp.Snapshots = append(resp.Snapshots, &olapv1.Snapshot{Key: one.Key, At: stamp(one.At), Bytes: one.Bytes})
	}
	return resp, nil
}

// CreateSnapshot implements MetaService.
func (s *Service) CreateSnapshot(_ *olapv1.CreateSnapshotRequest, stream grpc.ServerStreamingServer[olapv1.CreateSnapshotResponse]) error {
	if s.opts.Catalog == nil {
		return fault.Status(errNoCatalog)
	}
	ctx, cancel := context.WithTimeout(stream.Context(), s.opts.BackupTimeout)
	defer cancel()
	made, err := s.opts.Catalog.Snapshot(ctx, func(p catalog.Progress) {
		_ = stream.Send(&olapv1.CreateSnapshotResponse{Progress: progressOf(p)}) // a client that is gone ends the context
	})
	if err != nil {
		return fault.Status(err)
	}
	return stream.Send(&olapv1.CreateSnapshotResponse{Snapshot: &olapv1.Snapshot{Key: made.Key, At: stamp(made.At), Bytes: made.Size,
		Version: made.Version.String(), Checksum: made.Checksum, Tables: int32Of(made.Totals.Tables), Files: made.Totals.Files, Rows: made.Totals.Rows}})
}

// RestoreCatalog implements MetaService.
func (s *Service) RestoreCatalog(req *olapv1.RestoreCatalogRequest, stream grpc.ServerStreamingServer[olapv1.RestoreCatalogResponse]) error {
	if s.opts.Catalog == nil {
		return fault.Status(errNoCatalog)
	}
	ctx, cancel := context.WithTimeout(stream.Context(), s.opts.BackupTimeout)
	defer cancel()
	r := catalog.RestoreRequest{Snapshot: req.GetSnapshot(), Newer: req.GetNewer(),
		Request: snapshot.Request{Tables: req.GetTables(), Keys: req.GetKeys(), Missing: req.GetMissing(), DryRun: req.GetDryRun()}}
	done, err := s.opts.Catalog.Restore(ctx, r, func(p catalog.Progress) {
		_ = stream.Send(&olapv1.RestoreCatalogResponse{Progress: progressOf(p)}) // likewise
	})
	if err != nil {
		return fault.Status(err)
	}
	return stream.Send(&olapv1.RestoreCatalogResponse{Result: restoreOf(done)})
}

// RebuildIndex implements MetaService.
func (s *Service) RebuildIndex(req *olapv1.RebuildIndexRequest, stream grpc.ServerStreamingServer[olapv1.RebuildIndexResponse]) error {
	if s.opts.Catalog == nil {
		return fault.Status(errNoCatalog)
	}
	r := catalog.RebuildRequest{Tables: req.GetTables(), Scratch: req.GetScratch(), DryRun: req.GetDryRun()}
	if len(r.Tables) > namesMax {
		return fault.Status(fault.Newf(fault.InvalidArgument, "%d tables, at most %d are allowed", len(r.Tables), namesMax))
	}
	if since := req.GetSince(); since != nil {
		if err := since.CheckValid(); err != nil {
			return fault.Status(fault.Newf(fault.InvalidArgument, "since: %w", err))
		}
		r.Since = since.AsTime()
	}
	ctx, cancel := context.WithTimeout(stream.Context(), s.opts.BackupTimeout)
	defer cancel()
	done, err := s.opts.Catalog.Rebuild(ctx, r, func(p catalog.Progress) {
		_ = stream.Send(&olapv1.RebuildIndexResponse{Progress: progressOf(p)}) // likewise
	})
	if err != nil {
		return fault.Status(err)
	}
	return stream.Send(&olapv1.RebuildIndexResponse{Result: rebuildOf(done)})
}

// ListMembers implements MetaService.
func (s *Service) ListMembers(ctx context.Context, req *olapv1.ListMembersRequest) (*olapv1.ListMembersResponse, error) {
	ctx, cancel, err := s.looking(ctx)
	defer cancel()
	if err != nil {
		return nil, fault.Status(err)
	}
	nodes, err := s.opts.Catalog.Members(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	ring, err := s.opts.Catalog.Ring(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	leader, err := s.opts.Catalog.LeaderNow(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	shares := map[string]float64{}
	for _, one := range catalog.Shares(ring) {
		shares[one.Node] = one.Share
	}
	resp := &olapv1.ListMembersResponse{}
	for _, n := range nodes {
		if n.Left && !req.GetAll() {
			continue
		}
		resp.Members = append(resp.Members, &olapv1.Member{Id: n.ID, Address: n.Address, HttpAddress: n.HTTPAddress, Roles: n.Roles, Left: n.Left,
			Leader: n.ID == leader.Node, ActiveQueries: n.ActiveQueries, Started: stamp(n.Started), LastHeartbeat: timestamppb.New(n.LastHeartbeat),
			AgeSeconds: n.Age.Seconds(), RingShare: shares[n.ID], Version: n.Version, Protocol: int32Of(n.Protocol)})
	}
	return resp, nil
}

// GetRing implements MetaService.
func (s *Service) GetRing(ctx context.Context, req *olapv1.GetRingRequest) (*olapv1.GetRingResponse, error) {
	ctx, cancel, err := s.looking(ctx)
	defer cancel()
	if err == nil && (req.GetTable() == "") != (req.GetId() == "") {
		err = fault.New(fault.InvalidArgument, "an owner is of a table and an id: give both")
	}
	if err != nil {
		return nil, fault.Status(err)
	}
	ring, err := s.opts.Catalog.Ring(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.GetRingResponse{}
	for _, one := range catalog.Shares(ring) {
		resp.Shares = append(resp.Shares, &olapv1.RingShare{Node: one.Node, Points: int32Of(one.Points), Share: one.Share})
	}
	if req.GetTable() != "" {
		resp.Owners = ring.Owners(req.GetTable(), req.GetId(), ownersShown)
	}
	return resp, nil
}

const ownersShown = 3
