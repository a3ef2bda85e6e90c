package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"skein/flight/node"
	"skein/internal/batch"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var rowSchema = arrow.NewSchema([]arrow.Field{
	{Name: "n", Type: arrow.PrimitiveTypes.Int64},
	{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)

// numbers is a stream of batches of 100 rows. It ends with end after so many,
// and never if that is negative.
type numbers struct {
	mem     memory.Allocator
	batches int
	end     error
	closed  chan struct{}
	once    sync.Once
	current arrow.RecordBatch
	at      int
}

func newNumbers(mem memory.Allocator, batches int, end error) *numbers {
	return &numbers{mem: mem, batches: batches, end: end, closed: make(chan struct{})}
}

func (n *numbers) Schema() *arrow.Schema { return rowSchema }

func (n *numbers) Next(ctx context.Context) (arrow.RecordBatch, error) {
	n.release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n.at == n.batches {
		return nil, n.end
	}
	b := array.NewRecordBuilder(n.mem, rowSchema)
	defer b.Release()
	for i := range 100 {
		b.Field(0).(*array.Int64Builder).Append(int64(n.at*100 + i))
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat("x", 100))
	}
	n.at++
	n.current = b.NewRecordBatch()
	return n.current, nil
}

func (n *numbers) release() {
	if n.current != nil {
		n.current.Release()
		n.current = nil
	}
}

func (n *numbers) Close() error {
	n.once.Do(func() { n.release(); close(n.closed) })
	return nil
}

// worker remembers what it was asked and answers err or what is set.
type worker struct {
	err      error
	rows     *numbers
	file     io.Reader
	freed    chan struct{} // closed when a hold is over
	endHold  chan error    // ends one
	mu       sync.Mutex
	requests []any
}

func (w *worker) note(r any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	return w.err
}

func (w *worker) Append(_ context.Context, r *nodev1.AppendRequest) error { return w.note(r) }
func (w *worker) Hot(_ context.Context, r *nodev1.HotRequest) (*nodev1.HotResponse, error) {
	return &nodev1.HotResponse{Units: []*nodev1.HotUnit{{Unit: "u1", Rows: 7}}}, w.note(r)
}
func (w *worker) ReadHot(_ context.Context, r *nodev1.ReadHotRequest) (io.ReadCloser, error) {
	return io.NopCloser(w.file), w.note(r)
}
func (w *worker) Flush(_ context.Context, table string) error                   { return w.note(table) }
func (w *worker) Replicate(_ context.Context, r *nodev1.ReplicateRequest) error { return w.note(r) }
func (w *worker) Release(_ context.Context, units []string) error               { return w.note(units) }
func (w *worker) TakeOver(_ context.Context, unit string) error                 { return w.note(unit) }
func (w *worker) Discard(_ context.Context, uid string) error                   { return w.note(uid) }
func (w *worker) Run(_ context.Context, f *nodev1.Fragment) (batch.Reader, error) {
	if err := w.note(f); err != nil {
		return nil, err
	}
	return w.rows, nil
}

func (w *worker) Keep(_ context.Context, f *nodev1.Fragment) (*nodev1.KeepResponse, error) {
	return &nodev1.KeepResponse{Rows: 9}, w.note(f)
}
func (w *worker) ReadKept(_ context.Context, r *nodev1.KeptRead) (batch.Reader, error) {
	if err := w.note(r); err != nil {
		return nil, err
	}
	return w.rows, nil
}
func (w *worker) Hold(ctx context.Context, id string, ready func()) error {
	if err := w.note(id); err != nil {
		return err
	}
	ready()
	select {
	case <-ctx.Done():
		close(w.freed)
		return ctx.Err()
	case err := <-w.endHold:
		return err
	}
}

// peer is a node with a worker on a port of its own.
type peer struct {
	*grpc.Server
	address string
	pool    *node.Pool
	remote  *node.Remote
}

// onlyFragments is a Flight door without Flight SQL.
type onlyFragments struct {
	arrowflight.BaseFlightServer
	server *node.Server
}

func (o *onlyFragments) DoGet(t *arrowflight.Ticket, s arrowflight.FlightService_DoGetServer) error {
	if !o.server.Match(t.Ticket) {
		return errors.New("not a fragment")
	}
	return o.server.DoGet(t, s)
}

func startPeer(t testing.TB, w node.Worker, serverSecret, clientSecret string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stats := func(_ context.Context, window time.Duration) (*nodev1.StatsResponse, error) {
		return &nodev1.StatsResponse{Queries: int64(window.Seconds())}, nil
	}
	s := node.NewServer(w, stats, serverSecret)
	p := &peer{Server: grpc.NewServer(grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(node.MessageBytesMax)), address: l.Addr().String()}
	s.Register(p.Server)
	arrowflight.RegisterFlightServiceServer(p.Server, &onlyFragments{server: s})
	var served sync.WaitGroup
	served.Go(func() { p.Serve(l) })
	p.pool = node.NewPool(node.Options{Secret: clientSecret})
	p.remote = p.pool.Worker(p.address)
	t.Cleanup(func() {
		p.pool.Close()
		p.Stop()
		served.Wait()
	})
	return p
}

func TestCalls(t *testing.T) {
	file := bytes.Repeat([]byte("PAR1 and so on; "), 200_000) // 3.2 MB: several chunks
	w := &worker{file: bytes.NewReader(file), rows: newNumbers(memory.DefaultAllocator, 3, io.EOF)}
	p := startPeer(t, w, "hush", "hush")
	ctx := t.Context()

	appendRequest := &nodev1.AppendRequest{Table: "t", TableUid: "u", Records: []*nodev1.Record{{Id: "a", TimestampUs: -1, Payload: []byte(`{"x":9007199254740993}`)}}}
	hotRequest := &nodev1.HotRequest{Table: "t", TableUid: "u"}
	readRequest := &nodev1.ReadHotRequest{TableUid: "u", Unit: "u1", Rows: 7}
	fragment := &nodev1.Fragment{QueryId: "q", Number: 2, Sql: "SELECT 1", Tables: []*nodev1.TableScan{{View: "v"}}}
	if err := p.remote.Append(ctx, appendRequest); err != nil {
		t.Error(err)
	}
	if hot, err := p.remote.Hot(ctx, hotRequest); err != nil || hot.Units[0].Rows != 7 {
		t.Error(hot, err)
	}
	r, err := p.remote.ReadHot(ctx, readRequest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, file) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(file), err)
	}
	r.Close()
	if err := errors.Join(p.remote.Flush(ctx, "t"), p.remote.Discard(ctx, "u")); err != nil {
		t.Error(err)
	}
	if s, err := p.remote.Stats(ctx, time.Minute); err != nil || s.Queries != 60 {
		t.Error(s, err)
	}
	rows, err := p.remote.Run(ctx, fragment)
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Schema().Equal(rowSchema) {
		t.Error("schema:", rows.Schema())
	}
	if n, err := count(ctx, rows); n != 300 || err != io.EOF {
		t.Errorf("%d rows, then %v", n, err)
	}
	rows.Close()
	if kept, err := p.remote.Keep(ctx, fragment); err != nil || kept.Rows != 9 {
		t.Error(kept, err)
	}
	keptRead := &nodev1.KeptRead{QueryId: "q", Stage: 1, Number: 2, Attempt: 3, Keys: []string{`"k"`}, Parts: 4, Part: 1}
	w.rows = newNumbers(memory.DefaultAllocator, 2, io.EOF)
	if rows, err = p.remote.ReadKept(ctx, keptRead); err != nil {
		t.Fatal(err)
	}
	if n, err := count(ctx, rows); n != 200 || err != io.EOF {
		t.Errorf("%d kept rows, then %v", n, err)
	}
	rows.Close()
	want := []any{appendRequest, hotRequest, readRequest, "t", "u", fragment, fragment, keptRead}
	for i, v := range w.requests {
		m, ok := v.(proto.Message)
		if ok && !proto.Equal(m, want[i].(proto.Message)) || !ok && v != want[i] {
			t.Errorf("request %d: %v, want %v", i, v, want[i])
		}
	}
}

// count reads r to its end and checks the numbers.
func count(ctx context.Context, r batch.Reader) (n int, err error) {
	for {
		b, err := r.Next(ctx)
		if err != nil {
			return n, err
		}
		for i := range int(b.NumRows()) {
			if v := b.Column(0).(*array.Int64).Value(i); v != int64(n+i) {
				return n, fmt.Errorf("row %d holds %d", n+i, v)
			}
		}
		n += int(b.NumRows())
	}
}

func TestErrorsKeepTheirClass(t *testing.T) {
	failure := fault.New(fault.ResourceExhausted, "buffer full").With("table", "t").RetryIn(3 * time.Second)
	w := &worker{err: failure}
	p := startPeer(t, w, "", "")
	ctx := t.Context()
	_, hotErr := p.remote.Hot(ctx, &nodev1.HotRequest{})
	_, readErr := p.remote.ReadHot(ctx, &nodev1.ReadHotRequest{})
	_, runErr := p.remote.Run(ctx, &nodev1.Fragment{})
	_, keepErr := p.remote.Keep(ctx, &nodev1.Fragment{})
	_, keptErr := p.remote.ReadKept(ctx, &nodev1.KeptRead{})
	for name, err := range map[string]error{
		"Append": p.remote.Append(ctx, &nodev1.AppendRequest{}), "Hot": hotErr, "ReadHot": readErr,
		"Flush": p.remote.Flush(ctx, ""), "Discard": p.remote.Discard(ctx, ""), "Run": runErr,
		"Keep": keepErr, "ReadKept": keptErr, "Hold": p.remote.Hold(ctx, "q", func() { t.Error("held") }),
	} {
		if fault.CodeOf(err) != fault.ResourceExhausted || fault.Details(err)["table"] != "t" || fault.RetryAfter(err) != 3*time.Second {
			t.Errorf("%s: %v (%s)", name, err, fault.CodeOf(err))
		}
	}
}

func TestErrorInMidStream(t *testing.T) {
	for _, code := range []fault.Code{fault.NotFound, fault.Internal, fault.InvalidArgument, fault.Unavailable} {
		w := &worker{rows: newNumbers(memory.DefaultAllocator, 5, fault.New(code, "no such object"))}
		p := startPeer(t, w, "", "")
		r, err := p.remote.Run(t.Context(), &nodev1.Fragment{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := count(t.Context(), r)
		if n != 500 || fault.CodeOf(err) != code || errors.Is(err, io.EOF) {
			t.Errorf("%d rows, then %v (%s), want %s", n, err, fault.CodeOf(err), code)
		}
		if _, again := r.Next(t.Context()); fault.CodeOf(again) != code {
			t.Errorf("asked again: %v", again)
		}
		r.Close()
		<-w.rows.closed
	}
}

func TestBrokenFile(t *testing.T) {
	half := io.MultiReader(bytes.NewReader(make([]byte, 2<<20)), iotest.ErrReader(fault.New(fault.NotFound, "unit is gone")))
	p := startPeer(t, &worker{file: half}, "", "")
	r, err := p.remote.ReadHot(t.Context(), &nodev1.ReadHotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if n != 2<<20 || fault.CodeOf(err) != fault.NotFound {
		t.Errorf("%d bytes, then %v", n, err)
	}
}

func TestKilledPeer(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	w := &worker{rows: newNumbers(mem, -1, nil)}
	p := startPeer(t, w, "", "")
	r, err := p.remote.Run(t.Context(), &nodev1.Fragment{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.Stop()
	if _, err := count(t.Context(), skipping{r}); fault.CodeOf(err) != fault.Unavailable || errors.Is(err, io.EOF) {
		t.Errorf("mid-stream: %v (%s), want Unavailable", err, fault.CodeOf(err))
	}
	r.Close()
	<-w.rows.closed
	mem.AssertSize(t, 0)
	if err := p.remote.Append(t.Context(), &nodev1.AppendRequest{}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("afterwards: %v (%s), want Unavailable", err, fault.CodeOf(err))
	}
	start := time.Now()
	if err := p.remote.Ready(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("ready: %v", err)
	}
	if took := time.Since(start); took > node.ReadyWait+time.Second {
		t.Errorf("ready took %v", took)
	}
}

// skipping hides the numbers, so that count looks only at the end.
type skipping struct{ batch.Reader }

func (s skipping) Next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		if _, err := s.Reader.Next(ctx); err != nil {
			return nil, err
		}
	}
}

func TestCancelReachesThePeer(t *testing.T) {
	cases := map[string]func(r batch.Reader, cancelRun, cancelNext context.CancelFunc){
		"close":           func(r batch.Reader, _, _ context.CancelFunc) { r.Close() },
		"context of run":  func(_ batch.Reader, cancel, _ context.CancelFunc) { cancel() },
		"context of next": func(r batch.Reader, _, cancel context.CancelFunc) { cancel() },
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			w := &worker{rows: newNumbers(mem, -1, nil)}
			p := startPeer(t, w, "", "")
			runCtx, cancelRun := context.WithCancel(t.Context())
			defer cancelRun()
			nextCtx, cancelNext := context.WithCancel(t.Context())
			defer cancelNext()
			r, err := p.remote.Run(runCtx, &nodev1.Fragment{})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() {
				_, err := count(nextCtx, r)
				ended <- err
			}()
			end(r, cancelRun, cancelNext)
			if err := <-ended; fault.CodeOf(err) != fault.Canceled {
				t.Errorf("the reader got %v (%s), want Canceled", err, fault.CodeOf(err))
			}
			<-w.rows.closed // hangs, and fails the test, if the peer is not told
			r.Close()
			r.Close()
			p.Stop()
			mem.AssertSize(t, 0)
		})
	}
}

func TestSecret(t *testing.T) {
	for _, mine := range []string{"", "wrong"} {
		w := &worker{rows: newNumbers(memory.DefaultAllocator, 1, io.EOF)}
		p := startPeer(t, w, "hush", mine)
		_, runErr := p.remote.Run(t.Context(), &nodev1.Fragment{Sql: "SELECT 1"})
		_, readErr := p.remote.ReadHot(t.Context(), &nodev1.ReadHotRequest{})
		_, statsErr := p.remote.Stats(t.Context(), 0)
		_, hotErr := p.remote.Hot(t.Context(), &nodev1.HotRequest{})
		_, keepErr := p.remote.Keep(t.Context(), &nodev1.Fragment{Sql: "SELECT 1"})
		_, keptErr := p.remote.ReadKept(t.Context(), &nodev1.KeptRead{})
		holdErr := p.remote.Hold(t.Context(), "q", func() { t.Error("held") })
		for i, err := range []error{p.remote.Append(t.Context(), &nodev1.AppendRequest{}), runErr, readErr, statsErr, hotErr, keepErr, keptErr, holdErr} {
			if fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("secret %q, call %d: %v", mine, i, err)
			}
		}
		if len(w.requests) > 0 {
			t.Errorf("secret %q: the worker was asked %v", mine, w.requests)
		}
	}
}

func TestReady(t *testing.T) {
	p := startPeer(t, &worker{}, "", "")
	if err := p.remote.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.pool.Ready(t.Context(), "127.0.0.1:1"); fault.CodeOf(err) != fault.Unavailable {
		t.Error("a closed port:", err)
	}
	start := time.Now()
	if err := p.pool.Ready(t.Context(), "127.0.0.1:1"); fault.CodeOf(err) != fault.Unavailable || time.Since(start) > node.ReadyWait {
		t.Errorf("again: %v after %v", err, time.Since(start))
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.pool.Ready(ctx, silent.Addr().String()); fault.CodeOf(err) != fault.DeadlineExceeded {
		t.Error("a silent peer within 100 ms:", err)
	}
}

func TestClosedPool(t *testing.T) {
	p := startPeer(t, &worker{}, "", "")
	if err := p.remote.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	p.pool.Close()
	if err := p.remote.Flush(t.Context(), ""); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestUnusedConnectionsGo(t *testing.T) {
	p := startPeer(t, &worker{}, "", "")
	pool := node.NewPool(node.Options{Idle: 20 * time.Millisecond})
	defer pool.Close()
	if err := pool.Worker(p.address).Flush(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for pool.Connections() > 0 {
		if t.Context().Err() != nil {
			t.Fatal("the connection stays")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := pool.Worker(p.address).Flush(t.Context(), ""); err != nil {
		t.Error("a new connection:", err)
	}
}

func TestMalformedTicket(t *testing.T) {
	s := node.NewServer(&worker{}, nil, "")
	for _, c := range []struct {
		ticket string
		match  bool
	}{{"", false}, {"skein", false}, {"\n\x03abc", false}, {"skein-fragment/1\n\xff\xff", true}, {"skein-fragment/1\n", true}} {
		if got := s.Match([]byte(c.ticket)); got != c.match {
			t.Errorf("%q: match %v", c.ticket, got)
		}
		if c.match {
			err := s.DoGet(&arrowflight.Ticket{Ticket: []byte(c.ticket)}, quiet{ctx: t.Context()})
			if fault.CodeOf(fault.From(err)) != fault.InvalidArgument {
				t.Errorf("%q: %v", c.ticket, err)
			}
		}
	}
}

type quiet struct {
	arrowflight.FlightService_DoGetServer
	ctx context.Context
}

func (q quiet) Context() context.Context { return q.ctx }
