package gateway

import (
	"context"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/coordinator/backup"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// Backups is what the front door asks of the backup service. Its errors are
// classified. report hears how it goes, one call at a time; it may be nil. An
// operation goes on when ctx ends.
type Backups interface {
	Backup(ctx context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error)
	Verify(ctx context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error)
	Restore(ctx context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error)
	List(ctx context.Context) ([]backup.Operation, error)
	Cancel(ctx context.Context, id string) (backup.Operation, error)
	Status(ctx context.Context) (backup.Status, error)
	RetryParked(ctx context.Context) (files int64, err error)
}

// TriggerBackup implements OlapService.
func (s *Service) TriggerBackup(ctx context.Context, req *olapv1.TriggerBackupRequest) (*olapv1.TriggerBackupResponse, error) {
	r := backup.Request{Table: req.GetTable(), ID: req.GetId(), Day: req.GetDay()}
	op, err := s.operate(ctx, r, requireBackupTable(r.Table), nil, Backups.Backup)
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.TriggerBackupResponse{Success: true, Message: op.Message, FilesBackedUp: int32Of64(op.Files)}, nil
}

// RecoverData implements OlapService.
func (s *Service) RecoverData(ctx context.Context, req *olapv1.RecoverDataRequest) (*olapv1.RecoverDataResponse, error) {
	r := backup.Request{Table: req.GetTable(), Source: req.GetBackupSource()}
	err := requireBackupTable(r.Table)
	if err == nil {
		r.At, err = backup.ParseMoment(req.GetTargetDate())
	}
	op, err := s.operate(ctx, r, err, nil, Backups.Restore)
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.RecoverDataResponse{Success: true, Message: op.Message, FilesRecovered: int32Of64(op.Copied)}, nil
}

func requireBackupTable(name string) error {
	if name == "" {
		return fault.New(fault.InvalidArgument, "table is missing")
	}
	return nil
}

type operation func(Backups, context.Context, backup.Request, func(backup.Operation)) (backup.Operation, error)

// operate runs an operation; bad is what is wrong with its request already.
func (s *Service) operate(ctx context.Context, r backup.Request, bad error, report func(backup.Operation), do operation) (backup.Operation, error) {
	if bad == nil {
		bad = r.Check()
	}
	switch {
	case bad != nil:
		return backup.Operation{}, bad
	case s.opts.Backups == nil:
		return backup.Operation{}, backup.ErrNoBackup
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.BackupTimeout)
	defer cancel()
	return do(s.opts.Backups, ctx, r, report)
}

// Backup implements AdminService.
func (s *Service) Backup(req *olapv1.BackupRequest, stream grpc.ServerStreamingServer[olapv1.BackupResponse]) error {
	r := backup.Request{Table: req.GetTable(), ID: req.GetId(), Day: req.GetDay(), DryRun: req.GetDryRun()}
	_, err := s.operate(stream.Context(), r, nil, func(op backup.Operation) {
		_ = stream.Send(&olapv1.BackupResponse{Operation: operationOf(op)}) // a client that is gone hears nothing, and the operation goes on
	}, Backups.Backup)
	return fault.Status(err)
}

// VerifyBackup implements AdminService.
func (s *Service) VerifyBackup(req *olapv1.VerifyBackupRequest, stream grpc.ServerStreamingServer[olapv1.VerifyBackupResponse]) error {
	_, err := s.operate(stream.Context(), backup.Request{Table: req.GetTable(), Deep: req.GetDeep()}, nil, func(op backup.Operation) {
		_ = stream.Send(&olapv1.VerifyBackupResponse{Operation: operationOf(op)}) // likewise
	}, Backups.Verify)
	return fault.Status(err)
}

// Restore implements AdminService.
func (s *Service) Restore(req *olapv1.RestoreRequest, stream grpc.ServerStreamingServer[olapv1.RestoreResponse]) error {
	r := backup.Request{Table: req.GetTable(), Dropped: req.GetDropped(), DryRun: req.GetDryRun()}
	var bad error
	if at := req.GetAt(); at != nil {
		r.At = at.AsTime()
		if err := at.CheckValid(); err != nil {
			bad = fault.Newf(fault.InvalidArgument, "at: %w", err)
		}
	}
	_, err := s.operate(stream.Context(), r, bad, func(op backup.Operation) {
		_ = stream.Send(&olapv1.RestoreResponse{Operation: operationOf(op)}) // likewise
	}, Backups.Restore)
	return fault.Status(err)
}

// ListOperations implements AdminService.
func (s *Service) ListOperations(ctx context.Context, _ *olapv1.ListOperationsRequest) (*olapv1.ListOperationsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if s.opts.Backups == nil {
		return nil, fault.Status(backup.ErrNoBackup)
	}
	all, err := s.opts.Backups.List(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.ListOperationsResponse{}
	for _, op := range all {
		resp.Operations = append(resp.Operations, operationOf(op))
	}
	return resp, nil
}

// CancelOperation implements AdminService.
func (s *Service) CancelOperation(ctx context.Context, req *olapv1.CancelOperationRequest) (*olapv1.CancelOperationResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	switch {
	case req.GetId() == "":
		return nil, fault.Status(fault.New(fault.InvalidArgument, "id is missing: ListOperations tells those of operations"))
	case s.opts.Backups == nil:
		return nil, fault.Status(backup.ErrNoBackup)
	}
	op, err := s.opts.Backups.Cancel(ctx, req.GetId())
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.CancelOperationResponse{Operation: operationOf(op)}, nil
}

// GetBackupStatus implements AdminService.
func (s *Service) GetBackupStatus(ctx context.Context, _ *olapv1.GetBackupStatusRequest) (*olapv1.GetBackupStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if s.opts.Backups == nil {
		return nil, fault.Status(backup.ErrNoBackup)
	}
	st, err := s.opts.Backups.Status(ctx)
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.GetBackupStatusResponse{Waiting: st.Waiting, Parked: st.Parked}
	if s.opts.Pool != nil {
		p := s.opts.Pool.State(ctx)
		resp.Mode, resp.PrimaryUp, resp.BackupUp, resp.Returning = p.Mode, p.PrimaryUp, p.BackupUp, p.Returning
	}
	for _, f := range st.ParkedFiles {
		resp.ParkedFiles = append(resp.ParkedFiles, &olapv1.ParkedFile{Path: f.Key, Reason: f.Reason})
	}
	for _, h := range st.Tables {
		resp.Tables = append(resp.Tables, &olapv1.TableHistory{
			Table: h.Table, Exists: h.Exists, Copies: int64(h.Copies), Oldest: stamp(h.Oldest), Newest: stamp(h.Newest),
		})
	}
	return resp, nil
}

// RetryParked implements AdminService.
func (s *Service) RetryParked(ctx context.Context, _ *olapv1.RetryParkedRequest) (*olapv1.RetryParkedResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if s.opts.Backups == nil {
		return nil, fault.Status(backup.ErrNoBackup)
	}
	files, err := s.opts.Backups.RetryParked(ctx)
	return &olapv1.RetryParkedResponse{Files: files}, fault.Status(err)
}

func operationOf(op backup.Operation) *olapv1.Operation {
	return &olapv1.Operation{
		Id: op.ID, Kind: op.Kind, Table: op.Table, State: op.State, Node: op.Node, Started: stamp(op.Started), Updated: stamp(op.Updated),
		DryRun: op.DryRun, FilesTotal: op.FilesTotal, Files: op.Files, Bytes: op.Bytes, FilesCopied: op.Copied, BytesCopied: op.Moved,
		Rows: op.Rows, Problems: op.Problems, Examples: op.Examples, Message: op.Message, Canceling: op.Canceling,
	}
}

// stamp is nil for no time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func int32Of64(n int64) int32 { return int32(min(n, math.MaxInt32)) }
