package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/coordinator"
	"skein/gateway"
	"skein/internal/batch"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// dial starts the gRPC door over the fake.
func dial(t *testing.T, f *fake) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialer(t, f)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// dialer starts the gRPC door over the fake and tells how to reach it.
func dialer(t *testing.T, f *fake) func(context.Context, string) (net.Conn, error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server := grpc.NewServer(grpc.UnaryInterceptor(gateway.RecoverUnary(log)), grpc.StreamInterceptor(gateway.RecoverStream(log)))
	gateway.NewService(f, gateway.Options{Now: func() time.Time { return arrival }}).Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
}

func payload(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	p, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func nested(levels int) *structpb.Struct {
	p := &structpb.Struct{}
	for range levels - 1 {
		p = &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewStructValue(p)}}
	}
	return p
}

func TestWrite(t *testing.T) {
	f := &fake{}
	c := olapv1.NewOlapServiceClient(dial(t, f))
	resp, err := c.Write(t.Context(), &olapv1.WriteRequest{
		Table: "Users", Id: "user-123", Timestamp: timestamppb.New(at("2023-10-27T10:00:00.123456789Z")),
		Payload: payload(t, map[string]any{
			"age": 25, "max": float64(1<<53 - 1), "beyond": float64(1 << 53), "neg": -7, "half": 0.5, "huge": 1e300, "minus0": math.Copysign(0, -1),
			"name": "张三 <\"&>", "yes": true, "none": nil, "list": []any{1, 2.5, "x", []any{}, map[string]any{}}, "obj": map[string]any{"b": 1, "a": 2},
		}),
	})
	if err != nil || !resp.GetSuccess() || resp.GetMessage() != "1 record written" {
		t.Fatal(resp, err)
	}
	r := f.records[0]
	if f.tables[0] != "users" || r.ID != "user-123" || !r.Timestamp.Equal(at("2023-10-27T10:00:00.123456789Z")) {
		t.Errorf("%+v", r)
	}
	const want = `{"age":25,"beyond":9.007199254740992e+15,"half":0.5,"huge":1e+300,"list":[1,2.5,"x",[],{}],"max":9007199254740991,` +
		`"minus0":-0.0,"name":"张三 <\"&>","neg":-7,"none":null,"obj":{"a":2,"b":1},"yes":true}`
	if string(r.Payload) != want {
		t.Errorf("payload\n%s, want\n%s", r.Payload, want)
	}
	if _, err := c.Write(t.Context(), &olapv1.WriteRequest{Table: "users", Id: "b"}); err != nil {
		t.Fatal(err)
	}
	if r := f.records[1]; !r.Timestamp.Equal(arrival) || string(r.Payload) != "{}" {
		t.Errorf("%+v", r)
	}
}

func TestWriteRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		req  *olapv1.WriteRequest
		says string
	}{
		"no table":     {&olapv1.WriteRequest{Id: "a"}, "table is missing"},
		"bad table":    {&olapv1.WriteRequest{Table: "a/b", Id: "a"}, "table name"},
		"no id":        {&olapv1.WriteRequest{Table: "users"}, "id is missing"},
		"NUL in id":    {&olapv1.WriteRequest{Table: "users", Id: "a\x00"}, "control character"},
		"year 12000":   {&olapv1.WriteRequest{Table: "users", Id: "a", Timestamp: &timestamppb.Timestamp{Seconds: 316516204800}}, "years 1 to 9999"},
		"year 0":       {&olapv1.WriteRequest{Table: "users", Id: "a", Timestamp: &timestamppb.Timestamp{Seconds: -62135596801}}, "years 1 to 9999"},
		"nanos":        {&olapv1.WriteRequest{Table: "users", Id: "a", Timestamp: &timestamppb.Timestamp{Nanos: -1}}, "nanos"},
		"NaN":          {&olapv1.WriteRequest{Table: "users", Id: "a", Payload: payload(t, map[string]any{"x": []any{math.NaN()}})}, "NaN"},
		"Inf":          {&olapv1.WriteRequest{Table: "users", Id: "a", Payload: payload(t, map[string]any{"x": math.Inf(-1)})}, "Inf"},
		"nested":       {&olapv1.WriteRequest{Table: "users", Id: "a", Payload: nested(65)}, "deeper than 64"},
		"by the store": {&olapv1.WriteRequest{Table: "users", Id: "a", Payload: payload(t, map[string]any{"poison": 1})}, "poison"},
	} {
		f := &fake{writeErr: func(_ string, r []coordinator.Record) error {
			if strings.Contains(string(r[0].Payload), "poison") {
				return fault.New(fault.InvalidArgument, "poison").With("record", "0")
			}
			return nil
		}}
		_, err := olapv1.NewOlapServiceClient(dial(t, f)).Write(t.Context(), tc.req)
		if fault.CodeOf(fault.From(err)) != fault.InvalidArgument || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
		if f.count() != 0 || len(fault.Details(fault.From(err))) != 0 {
			t.Errorf("%s: %d stored, details %v", name, f.count(), fault.Details(fault.From(err)))
		}
	}
	f := &fake{}
	if _, err := olapv1.NewOlapServiceClient(dial(t, f)).Write(t.Context(), &olapv1.WriteRequest{Table: "users", Id: "a", Payload: nested(64)}); err != nil {
		t.Error(err)
	}
}

func TestWriteStream(t *testing.T) {
	f := &fake{}
	c := olapv1.NewIngestServiceClient(dial(t, f))
	stream, err := c.WriteStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		if err := stream.Send(&olapv1.WriteRequest{Table: "users", Id: fmt.Sprint(i), Payload: payload(t, map[string]any{"i": i})}); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := stream.CloseAndRecv()
	if err != nil || resp.GetRecordsWritten() != 2500 || f.count() != 2500 {
		t.Fatal(resp, err, f.count())
	}
	if string(f.records[2499].Payload) != `{"i":2499}` {
		t.Errorf("%s", f.records[2499].Payload)
	}
}

func TestWriteStreamBatchBytes(t *testing.T) {
	f := &fake{}
	stream, err := olapv1.NewIngestServiceClient(dial(t, f)).WriteStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := stream.Send(&olapv1.WriteRequest{Table: "users", Id: fmt.Sprint(i), Payload: payload(t, map[string]any{"x": strings.Repeat("x", 1<<20)})}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	for _, n := range f.sizes {
		if n > 4 {
			t.Errorf("batches of %v records of 1 MiB", f.sizes)
		}
	}
}

func TestWriteStreamRefused(t *testing.T) {
	for name, bad := range map[string]*olapv1.WriteRequest{
		"no id":         {Table: "users"},
		"missing table": {Table: "missing", Id: "a"},
		"poison":        {Table: "users", Id: "poison"},
	} {
		f := &fake{writeErr: func(table string, records []coordinator.Record) error {
			if table == "missing" {
				return errTable
			}
			for i, r := range records {
				if r.ID == "poison" {
					return fault.New(fault.InvalidArgument, "poison").With("record", fmt.Sprint(i))
				}
			}
			return nil
		}}
		stream, err := olapv1.NewIngestServiceClient(dial(t, f)).WriteStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			req := &olapv1.WriteRequest{Table: "users", Id: fmt.Sprint(i)}
			if i == 16 {
				req = bad
			}
			if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		_, err = stream.CloseAndRecv()
		details := fault.Details(fault.From(err))
		if details["records_written"] != "16" || details["record"] != "17" || f.count() != 16 {
			t.Errorf("%s: %v %v, %d stored", name, err, details, f.count())
		}
	}
}

func TestQueryOverGRPC(t *testing.T) {
	f := &fake{rows: answering(1, 2)}
	c := olapv1.NewOlapServiceClient(dial(t, f))
	resp, err := c.Query(t.Context(), &olapv1.QueryRequest{Sql: "SELECT n FROM t"})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, resp.GetResultJson(), `[{"n":1},{"n":2}]`)
	f.rows = refusing(fault.New(fault.InvalidArgument, "syntax error").With("line", "3"))
	_, err = c.Query(t.Context(), &olapv1.QueryRequest{Sql: "SELECT n FROM t"})
	if e := fault.From(err); fault.CodeOf(e) != fault.InvalidArgument || fault.Details(e)["line"] != "3" {
		t.Errorf("%v", err)
	}
	if _, err = c.Query(t.Context(), &olapv1.QueryRequest{Sql: " \n"}); fault.CodeOf(fault.From(err)) != fault.InvalidArgument {
		t.Errorf("%v", err)
	}
	if _, err = c.Query(t.Context(), &olapv1.QueryRequest{Sql: strings.Repeat("x", 2<<20)}); fault.CodeOf(fault.From(err)) != fault.TooLarge {
		t.Errorf("%v", err)
	}
	f.rows = func(context.Context, string) (batch.Reader, error) { panic("surprise") }
	if _, err = c.Query(t.Context(), &olapv1.QueryRequest{Sql: "SELECT 1"}); fault.CodeOf(fault.From(err)) != fault.Internal || strings.Contains(err.Error(), "surprise") {
		t.Errorf("%v", err)
	}
}

// TestLongMessages: a status fits into the trailers that clients in Java and C
// take, 8 KiB, and keeps its code and details.
func TestLongMessages(t *testing.T) {
	for name, text := range map[string]string{"plain": strings.Repeat("x", 1<<20), "escaped": strings.Repeat("é%\n", 1<<18)} {
		f := &fake{rows: refusing(fault.New(fault.InvalidArgument, text).With("line", "3"))}
		conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(dialer(t, f)), grpc.WithMaxHeaderListSize(8<<10))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = olapv1.NewOlapServiceClient(conn).Query(t.Context(), &olapv1.QueryRequest{Sql: "SELECT 1"})
		if e := fault.From(err); fault.CodeOf(e) != fault.InvalidArgument || fault.Details(e)["line"] != "3" || !strings.Contains(err.Error(), text[:1000]) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}
