package flight_test

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skein/flight"
	"skein/flight/node"
	"skein/internal/batch"
	nodev1 "skein/proto/node/v1"
)

// same is a stream of the same batch again and again.
type same struct {
	b arrow.RecordBatch
	n int
}

func (s *same) Schema() *arrow.Schema { return s.b.Schema() }
func (s *same) Next(context.Context) (arrow.RecordBatch, error) {
	if s.n == 0 {
		return nil, io.EOF
	}
	s.n--
	return s.b, nil
}
func (s *same) Close() error { return nil }

type sameWorker struct {
	node.Worker
	b arrow.RecordBatch
}

const benchBatches = 500

func (w sameWorker) Run(context.Context, *nodev1.Fragment) (batch.Reader, error) {
	return &same{b: w.b, n: benchBatches}, nil
}

// BenchmarkFragment streams batches of 16k rows of 3 numbers between nodes.
func BenchmarkFragment(b *testing.B) {
	fields := make([]arrow.Field, 3)
	for i := range fields {
		fields[i] = arrow.Field{Name: string(rune('a' + i)), Type: arrow.PrimitiveTypes.Int64}
	}
	rb := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer rb.Release()
	for i := range fields {
		rb.Field(i).(*array.Int64Builder).AppendValues(make([]int64, 16<<10), nil)
	}
	w := sameWorker{b: rb.NewRecordBatch()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer(append(flight.ServerOptions(flight.GRPCOptions{}), grpc.Creds(insecure.NewCredentials()))...)
	arrowflight.RegisterFlightServiceServer(g, flight.NewServer(newCoord(), node.NewServer(w, nil, ""), flight.Options{}))
	served := make(chan struct{})
	go func() { g.Serve(l); close(served) }()
	pool := node.NewPool(node.Options{})
	defer func() { pool.Close(); g.Stop(); <-served }()
	b.SetBytes(benchBatches * 3 * 8 * 16 << 10)
	for b.Loop() {
		r, err := pool.Worker(l.Addr().String()).Run(b.Context(), &nodev1.Fragment{})
		if err != nil {
			b.Fatal(err)
		}
		rows := int64(0)
		for {
			batch, err := r.Next(b.Context())
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			rows += batch.NumRows()
		}
		r.Close()
		if rows != benchBatches*16<<10 {
			b.Fatalf("%d rows", rows)
		}
	}
}
