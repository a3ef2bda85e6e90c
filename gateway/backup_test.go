package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/coordinator"
	"skein/coordinator/backup"
	"skein/gateway"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// fakeBackups reports one step and then ends as it is told.
type fakeBackups struct {
	asked backup.Request
	kind  string
	err   error
}

func (f *fakeBackups) operate(kind string, r backup.Request, report func(backup.Operation)) (backup.Operation, error) {
	f.kind, f.asked = kind, r
	op := backup.Operation{ID: "op", Kind: kind, State: backup.Running, FilesTotal: 7, Files: 3, Started: arrival}
	if report == nil {
		report = func(backup.Operation) {}
	}
	report(op)
	if f.err != nil {
		return op, f.err
	}
	op.State, op.Files, op.Copied, op.Message = backup.Done, 7, 2, "all is well"
	report(op)
	return op, nil
}

func (f *fakeBackups) Backup(_ context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error) {
	return f.operate(backup.KindBackup, r, report)
}

func (f *fakeBackups) Verify(_ context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error) {
	return f.operate(backup.KindVerify, r, report)
}

func (f *fakeBackups) Restore(_ context.Context, r backup.Request, report func(backup.Operation)) (backup.Operation, error) {
	return f.operate(backup.KindRestore, r, report)
}

func (f *fakeBackups) List(context.Context) ([]backup.Operation, error) {
	return []backup.Operation{{ID: "a", State: backup.Lost}}, f.err
}

func (f *fakeBackups) Cancel(_ context.Context, id string) (backup.Operation, error) {
	if id != "op" {
		return backup.Operation{}, fault.Newf(fault.NotFound, "operation %s is not in the list", id)
	}
	return backup.Operation{ID: id, State: backup.Running, Canceling: true}, nil
}

func (f *fakeBackups) Status(context.Context) (backup.Status, error) {
	return backup.Status{Waiting: 4, Tables: []backup.History{{Table: "t", Copies: 2, Newest: arrival}}}, f.err
}

func (f *fakeBackups) RetryParked(context.Context) (int64, error) { return 5, f.err }

// fakePool has one value.
type fakePool struct{ share float64 }

func (*fakePool) State(context.Context) gateway.PoolState {
	return gateway.PoolState{Mode: "backup", BackupUp: true, Returning: 9}
}

func (p *fakePool) Tune(_ context.Context, c gateway.PoolTuning) (gateway.PoolTuning, error) {
	if c.HedgeShare != nil && *c.HedgeShare > 1 {
		return gateway.PoolTuning{}, fault.New(fault.InvalidArgument, "share: use 0 to 1")
	}
	if c.HedgeShare != nil {
		p.share = *c.HedgeShare
	}
	second, n := time.Second, 3
	if c.TryTimeout == nil {
		c.TryTimeout = &second
	}
	return gateway.PoolTuning{HedgeShare: &p.share, HedgeMin: &second, TryTimeout: c.TryTimeout, StallTimeout: &second, PutTimeout: &second, BreakAfter: &n}, nil
}

func dialAdmin(t *testing.T, o gateway.Options) (olapv1.AdminServiceClient, olapv1.OlapServiceClient) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	gateway.NewService(&fake{health: coordinator.Health{Overall: coordinator.Healthy, Components: map[string]coordinator.ComponentHealth{
		"minio": {Status: coordinator.Healthy, Message: "ok"}, "redis": {Status: coordinator.Healthy, Message: "ok"},
	}}}, o).Register(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return olapv1.NewAdminServiceClient(conn), olapv1.NewOlapServiceClient(conn)
}

func wantStatus(t *testing.T, err error, code codes.Code, word string) {
	t.Helper()
	if status.Code(err) != code || code != codes.OK && !strings.Contains(err.Error(), word) {
		t.Errorf("%v, want %s with %q", err, code, word)
	}
}

func TestBackupOverGRPC(t *testing.T) {
	f := &fakeBackups{}
	admin, olap := dialAdmin(t, gateway.Options{Backups: f, Pool: &fakePool{}})
	ctx := t.Context()
	done, err := olap.TriggerBackup(ctx, &olapv1.TriggerBackupRequest{Table: "Users", Id: "u", Day: "2024-01-15"})
	if err != nil || !done.GetSuccess() || done.GetFilesBackedUp() != 7 || done.GetMessage() != "all is well" {
		t.Errorf("%v %v", done, err)
	}
	if f.asked != (backup.Request{Table: "users", ID: "u", Day: "2024-01-15"}) {
		t.Errorf("%+v", f.asked)
	}
	back, err := olap.RecoverData(ctx, &olapv1.RecoverDataRequest{Table: "users", BackupSource: "backup", TargetDate: "2024-01-15"})
	if err != nil || back.GetFilesRecovered() != 2 {
		t.Errorf("%v %v", back, err)
	}
	if want := time.Date(2024, 1, 15, 23, 59, 59, 999999999, time.UTC); !f.asked.At.Equal(want) || f.asked.Source != "backup" {
		t.Errorf("%+v", f.asked)
	}
	stream, err := admin.Restore(ctx, &olapv1.RestoreRequest{Dropped: true, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, fmt.Sprint(m.GetOperation().GetState(), m.GetOperation().GetFiles()))
	}
	if fmt.Sprint(seen) != "[running3 done7]" || f.kind != backup.KindRestore || !f.asked.Dropped || !f.asked.DryRun {
		t.Errorf("%v %+v", seen, f.asked)
	}
	st, err := admin.GetBackupStatus(ctx, &olapv1.GetBackupStatusRequest{})
	if err != nil || st.GetMode() != "backup" || st.GetWaiting() != 4 || st.GetReturning() != 9 || st.GetTables()[0].GetOldest() != nil || !st.GetTables()[0].GetNewest().AsTime().Equal(arrival) {
		t.Errorf("%v %v", st, err)
	}
	if l, err := admin.ListOperations(ctx, &olapv1.ListOperationsRequest{}); err != nil || l.GetOperations()[0].GetState() != "lost" {
		t.Errorf("%v %v", l, err)
	}
	if n, err := admin.RetryParked(ctx, &olapv1.RetryParkedRequest{}); err != nil || n.GetFiles() != 5 {
		t.Errorf("%v %v", n, err)
	}
	if c, err := admin.CancelOperation(ctx, &olapv1.CancelOperationRequest{Id: "op"}); err != nil || !c.GetOperation().GetCanceling() {
		t.Errorf("%v %v", c, err)
	}
	_, err = admin.CancelOperation(ctx, &olapv1.CancelOperationRequest{Id: "other"})
	wantStatus(t, err, codes.NotFound, "other")
	_, err = admin.CancelOperation(ctx, &olapv1.CancelOperationRequest{})
	wantStatus(t, err, codes.InvalidArgument, "ListOperations")
	f.err = fault.New(fault.FailedPrecondition, "2 files are in neither store")
	_, err = olap.RecoverData(ctx, &olapv1.RecoverDataRequest{Table: "users"})
	wantStatus(t, err, codes.FailedPrecondition, "neither")
}

func TestBadBackupRequests(t *testing.T) {
	f := &fakeBackups{}
	admin, olap := dialAdmin(t, gateway.Options{Backups: f})
	ctx := t.Context()
	for word, call := range map[string]func() error{
		"table":  func() error { _, err := olap.TriggerBackup(ctx, &olapv1.TriggerBackupRequest{}); return err },
		"table ": func() error { _, err := olap.RecoverData(ctx, &olapv1.RecoverDataRequest{}); return err },
		"YYYY-MM-DD": func() error {
			_, err := olap.TriggerBackup(ctx, &olapv1.TriggerBackupRequest{Table: "t", Day: "x"})
			return err
		},
		"target": func() error {
			_, err := olap.RecoverData(ctx, &olapv1.RecoverDataRequest{Table: "t", TargetDate: "x"})
			return err
		},
		"name it": func() error {
			s, err := admin.Backup(ctx, &olapv1.BackupRequest{Day: "2024-01-15"})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"at": func() error {
			s, err := admin.Restore(ctx, &olapv1.RestoreRequest{Table: "t", At: &timestamppb.Timestamp{Nanos: -1}})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
	} {
		wantStatus(t, call(), codes.InvalidArgument, strings.TrimSpace(word))
	}
	if f.kind != "" {
		t.Errorf("%s was begun", f.kind)
	}
	_, err := admin.SetPool(ctx, &olapv1.SetPoolRequest{})
	wantStatus(t, err, codes.FailedPrecondition, "pool")
	admin, _ = dialAdmin(t, gateway.Options{})
	_, err = admin.GetBackupStatus(ctx, &olapv1.GetBackupStatusRequest{})
	wantStatus(t, err, codes.FailedPrecondition, "--s3-backup")
}

func TestSetPool(t *testing.T) {
	admin, _ := dialAdmin(t, gateway.Options{Pool: &fakePool{share: 0.05}})
	now, err := admin.SetPool(t.Context(), &olapv1.SetPoolRequest{HedgeShare: proto.Float64(0.5), TryTimeoutMs: proto.Int64(250)})
	if err != nil || now.GetHedgeShare() != 0.5 || now.GetTryTimeoutMs() != 250 || now.GetBreakAfter() != 3 {
		t.Errorf("%v %v", now, err)
	}
	_, err = admin.SetPool(t.Context(), &olapv1.SetPoolRequest{HedgeShare: proto.Float64(7)})
	wantStatus(t, err, codes.InvalidArgument, "0 to 1")
	if now, err = admin.SetPool(t.Context(), &olapv1.SetPoolRequest{}); err != nil || now.GetHedgeShare() != 0.5 {
		t.Errorf("%v %v", now, err)
	}
}

// A component that answers on one leg is degraded, and so is the whole.
func TestHealthDetails(t *testing.T) {
	_, olap := dialAdmin(t, gateway.Options{Details: map[string]func(context.Context) (bool, string){
		"minio": func(context.Context) (bool, string) { return true, "backup is in charge" },
		"other": func(context.Context) (bool, string) { t.Error("not asked for"); return false, "" },
	}})
	h, err := olap.HealthCheck(t.Context(), &olapv1.HealthCheckRequest{})
	minio, redis := h.GetComponentStatus()["minio"], h.GetComponentStatus()["redis"]
	if err != nil || h.GetOverallStatus() != "degraded" || minio.GetStatus() != "degraded" || minio.GetMessage() != "backup is in charge" || redis.GetStatus() != "healthy" {
		t.Errorf("%v %v", h, err)
	}
}
