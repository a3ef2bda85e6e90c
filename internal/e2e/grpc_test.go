package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	olapv1 "skein/proto/olap/v1"
)

func (n *node) dial(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	conn, err := grpc.NewClient("passthrough:///"+n.GRPC, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (n *node) flight(t testing.TB) *flightsql.Client {
	t.Helper()
	c, err := flightsql.NewClient(n.GRPC, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// flightRows runs a statement over Flight SQL and returns how many rows came.
func flightRows(t testing.TB, c *flightsql.Client, sql string) (rows int64, err error) {
	t.Helper()
	info, err := c.Execute(t.Context(), sql)
	if err != nil {
		return 0, err
	}
	for _, e := range info.Endpoint {
		r, err := c.DoGet(t.Context(), e.Ticket)
		if err != nil {
			return 0, err
		}
		for r.Next() {
			rows += r.RecordBatch().NumRows()
		}
		err = r.Err()
		r.Release()
		if err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func payload(t testing.TB, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t testing.TB, err error, want codes.Code, word string) {
	t.Helper()
	if got := status.Code(err); got != want || !strings.Contains(strings.ToLower(status.Convert(err).Message()), strings.ToLower(word)) {
		t.Errorf("got %v, want %v about %q", err, want, word)
	}
}

// TestServiceOverGRPC does by gRPC what the specification's examples do by
// REST.
func TestServiceOverGRPC(t *testing.T) {
	t.Parallel()
	n := startNode(t, "grpc")
	conn := n.dial(t)
	c, ctx := olapv1.NewOlapServiceClient(conn), t.Context()
	config := &olapv1.TableConfig{BufferSize: neverRows, FlushIntervalSeconds: neverSeconds, RetentionDays: 700, BackupEnabled: true}
	if _, err := c.CreateTable(ctx, &olapv1.CreateTableRequest{TableName: "users", Config: config}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 27, 10, 0, 0, 123456000, time.UTC)
	w, err := c.Write(ctx, &olapv1.WriteRequest{Table: "users", Id: "user-123", Timestamp: timestamppb.New(at),
		Payload: payload(t, object{"name": "张三", "age": 25.0, "score": 1.5, "tags": []any{"a", "b"}, "home": object{"city": "北京"}, "none": nil})})
	if err != nil || !w.GetSuccess() {
		t.Fatal(w, err)
	}
	q, err := c.Query(ctx, &olapv1.QueryRequest{Sql: "SELECT id, timestamp, payload.name, payload.age, score, tags, home FROM users"})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, q.GetResultJson(), `[{"id":"user-123","timestamp":"2026-10-27T10:00:00.123456Z","name":"张三","age":25,"score":1.5,"tags":["a","b"],"home":{"city":"北京"}}]`)
	stream, err := olapv1.NewIngestServiceClient(conn).WriteStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		if err := stream.Send(&olapv1.WriteRequest{Table: "users", Id: "u" + strconv.Itoa(i%9), Timestamp: timestamppb.New(at), Payload: payload(t, object{"age": i})}); err != nil {
			t.Fatal(err)
		}
	}
	sent, err := stream.CloseAndRecv()
	if err != nil || sent.GetRecordsWritten() != 2500 {
		t.Fatal(sent, err)
	}
	d, err := c.DescribeTable(ctx, &olapv1.DescribeTableRequest{TableName: "users"})
	if err != nil || d.GetStats().GetRecordCount() != 2501 || d.GetTableInfo().GetConfig().GetRetentionDays() != 700 {
		t.Errorf("%v %v", d, err)
	}
	l, err := c.ListTables(ctx, &olapv1.ListTablesRequest{Pattern: "u*"})
	if err != nil || l.GetTotal() != 1 || l.GetTables()[0].GetRecordCount() != 2501 {
		t.Errorf("%v %v", l, err)
	}
	nodes, err := c.GetNodes(ctx, &olapv1.GetNodesRequest{})
	if err != nil || nodes.GetHealthyNodes() != 1 || nodes.GetNodes()[0].GetAddress() != n.GRPC {
		t.Errorf("%v %v", nodes, err)
	}
	health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", health, err)
	}
	rows, err := flightRows(t, n.flight(t), "SELECT * FROM users")
	if err != nil || rows != 2501 {
		t.Errorf("by Flight SQL %d rows, %v", rows, err)
	}
	if _, err := c.DropTable(ctx, &olapv1.DropTableRequest{TableName: "users", Cascade: true}); err != nil {
		t.Error(err)
	}
	_, err = c.TriggerBackup(ctx, &olapv1.TriggerBackupRequest{Table: "users"})
	wantCode(t, err, codes.FailedPrecondition, "--s3-backup")
}

func TestBadInputOverGRPC(t *testing.T) {
	t.Parallel()
	n := badNode(t)
	conn := n.dial(t)
	c, ctx := olapv1.NewOlapServiceClient(conn), t.Context()
	flight := n.flight(t)
	for _, s := range badStatements {
		t.Run(title(s.sql), func(t *testing.T) {
			want := codes.InvalidArgument
			if s.missing {
				want = codes.NotFound
			}
			_, err := c.Query(ctx, &olapv1.QueryRequest{Sql: s.sql})
			wantCode(t, err, want, s.word)
			if s.line != "" {
				wantPlace(t, err, s.line, s.column)
			}
			_, err = flightRows(t, flight, s.sql)
			wantCode(t, err, want, s.word)
		})
	}
	good := func(change func(w *olapv1.WriteRequest)) *olapv1.WriteRequest {
		w := &olapv1.WriteRequest{Table: "events", Id: "a", Timestamp: timestamppb.Now(), Payload: payload(t, object{"n": 1})}
		change(w)
		return w
	}
	for _, b := range []struct {
		name, word string
		code       codes.Code
		change     func(w *olapv1.WriteRequest)
	}{
		{"unknown table", "nosuch", codes.NotFound, func(w *olapv1.WriteRequest) { w.Table = "nosuch" }},
		{"missing table", "table", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Table = "" }},
		{"bad table", "table", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Table = "../events" }},
		{"NUL in table", "table", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Table = "ev\x00ents" }},
		{"missing id", "id", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Id = "" }},
		{"NUL in id", "id", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Id = "a\x00" }},
		{"parent directory in id", "id", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Id = "../a" }},
		{"year 12000", "year", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Timestamp = &timestamppb.Timestamp{Seconds: 316_516_204_800} }},
		{"bad nanoseconds", "nanos", codes.InvalidArgument, func(w *olapv1.WriteRequest) { w.Timestamp.Nanos = -1 }},
		{"20 MB", "16 MiB", codes.OutOfRange, func(w *olapv1.WriteRequest) { w.Payload = payload(t, object{"x": strings.Repeat("x", 20<<20)}) }},
	} {
		t.Run(b.name, func(t *testing.T) {
			_, err := c.Write(ctx, good(b.change))
			wantCode(t, err, b.code, b.word)
			stream, err := olapv1.NewIngestServiceClient(conn).WriteStream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = stream.Send(good(b.change)) // the answer tells
			_, err = stream.CloseAndRecv()
			wantCode(t, err, b.code, b.word)
		})
	}
	_, err := c.CreateTable(ctx, &olapv1.CreateTableRequest{TableName: "a-b"})
	wantCode(t, err, codes.InvalidArgument, "name")
	_, err = c.CreateTable(ctx, &olapv1.CreateTableRequest{TableName: "events"})
	wantCode(t, err, codes.AlreadyExists, "events")
	_, err = c.DescribeTable(ctx, &olapv1.DescribeTableRequest{TableName: "nosuch"})
	wantCode(t, err, codes.NotFound, "nosuch")
	_, err = c.DropTable(ctx, &olapv1.DropTableRequest{TableName: "events"})
	wantCode(t, err, codes.FailedPrecondition, "cascade")
}

func wantPlace(t testing.TB, err error, line, column string) {
	t.Helper()
	details := status.Convert(err).Details()
	i := slices.IndexFunc(details, func(d any) bool { _, ok := d.(*errdetails.ErrorInfo); return ok })
	if i < 0 {
		t.Errorf("no details: %v", err)
		return
	}
	place := details[i].(*errdetails.ErrorInfo).GetMetadata()
	if got, want := fmt.Sprint(place["line"], ":", place["column"]), line+":"+column; got != want {
		t.Errorf("the mistake is said to be at %s, want %s", got, want)
	}
}
