package wire

import (
	"net"
	"runtime"
	"testing"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skein/internal/batch"
)

// collected waits until the garbage collector has brought about that nothing
// of check is in use.
func collected(t *testing.T, check *memory.CheckedAllocator) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); check.CurrentAlloc() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes of records are never freed", check.CurrentAlloc())
		}
		runtime.GC()
	}
}

func TestForgottenFrameFreesItsRecord(t *testing.T) {
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	b := testBatch(check, 10_000, 20_000)
	w, err := newWriter(senderFunc(func(m any) error {
		_, err := Codec().Marshal(m)
		return err
	}), b.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.write(b, MessageBytesMax); err != nil {
		t.Fatal(err)
	}
	w.record = nil
	b.Release()
	collected(t, check)
}

// door sends batches of an allocator.
type door struct {
	arrowflight.BaseFlightServer
	check *memory.CheckedAllocator
}

func (d *door) DoGet(_ *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) error {
	const size = 1 << 20
	return Send(stream.Context(), stream, batch.NewSlice(testSchema, testBatch(d.check, size), testBatch(d.check, size), testBatch(d.check, size)))
}

// TestVanishedClient: gRPC frees nothing of what waits for a client whose
// connection breaks.
func TestVanishedClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	server := grpc.NewServer(grpc.ForceServerCodecV2(Codec()), grpc.WaitForHandlers(true))
	arrowflight.RegisterFlightServiceServer(server, &door{check: check})
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	// The window is too small for a message.
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStaticStreamWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := arrowflight.NewFlightServiceClient(conn).DoGet(t.Context(), &arrowflight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // the schema
		t.Fatal(err)
	}
	conn.Close()
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	collected(t, check)
}
