package wire

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"skein/internal/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testSchema = arrow.NewSchema([]arrow.Field{
	{Name: "n", Type: arrow.PrimitiveTypes.Int64},
	{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "l", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
}, nil)

// testBatch has one row for each size: a text and a list of that many bytes.
func testBatch(mem memory.Allocator, sizes ...int) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, testSchema)
	defer b.Release()
	for i, size := range sizes {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if i%3 == 2 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(strings.Repeat("x", size))
		}
		l := b.Field(2).(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.StringBuilder).Append(strings.Repeat("y", size))
	}
	return b.NewRecordBatch()
}

// sink keeps what is sent; it fails from the given message on.
type sink struct {
	messages []*arrowflight.FlightData
	failFrom int
}

var errSink = errors.New("the client is gone")

func (s *sink) Send(d *arrowflight.FlightData) error {
	if s.failFrom > 0 && len(s.messages) >= s.failFrom {
		return errSink
	}
	s.messages = append(s.messages, proto.Clone(d).(*arrowflight.FlightData))
	return nil
}

func (s *sink) Recv() (*arrowflight.FlightData, error) {
	if len(s.messages) == 0 {
		return nil, errors.New("no more messages")
	}
	d := s.messages[0]
	s.messages = s.messages[1:]
	return d, nil
}

func TestSendSplitsLargeBatches(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	const mib = 1 << 20
	cases := map[string]struct {
		sizes    []int
		messages int
	}{
		"small":             {[]int{1, 2, 3}, 1},
		"even":              {[]int{5 * mib, 5 * mib, 5 * mib, 5 * mib}, 4},
		"one row too large": {[]int{1, 1, 1, 20 * mib}, 3},
		"no rows":           {nil, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := testBatch(mem, c.sizes...)
			in.Retain()
			defer in.Release()
			var out sink
			if err := Send(t.Context(), &out, batch.NewSlice(testSchema, in)); err != nil {
				t.Fatal(err)
			}
			if got := len(out.messages) - 1; got != c.messages {
				t.Errorf("%d messages, want %d", got, c.messages)
			}
			for _, m := range out.messages {
				if len(m.DataBody) > 16<<20 && name != "one row too large" {
					t.Errorf("a message of %d bytes", len(m.DataBody))
				}
			}
			assertSame(t, in, &out)
		})
	}
}

// assertSame reads the messages back and compares them with what went in.
func assertSame(t *testing.T, in arrow.RecordBatch, out *sink) {
	t.Helper()
	r, err := arrowflight.NewRecordReader(out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	at := int64(0)
	for at < in.NumRows() && r.Next() {
		part := in.NewSlice(at, at+r.RecordBatch().NumRows())
		if !array.RecordEqual(part, r.RecordBatch()) {
			t.Errorf("rows from %d differ", at)
		}
		part.Release()
		at += r.RecordBatch().NumRows()
	}
	if at != in.NumRows() {
		t.Errorf("%d rows came back of %d", at, in.NumRows())
	}
}

func TestSendReleasesOnFailure(t *testing.T) {
	for failFrom := 1; failFrom < 4; failFrom++ {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := batch.NewSlice(testSchema, testBatch(mem, 1), testBatch(mem, 2), testBatch(mem, 3), testBatch(mem, 4))
		if err := Send(t.Context(), &sink{failFrom: failFrom}, r); !errors.Is(err, errSink) {
			t.Errorf("fail from %d: %v", failFrom, err)
		}
		mem.AssertSize(t, 0)
	}
}

func TestSendSchemaFirst(t *testing.T) {
	errBroken := errors.New("broken")
	var out sink
	if err := Send(t.Context(), &out, failing{errBroken}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if len(out.messages) != 1 {
		t.Errorf("%d messages, want the schema alone", len(out.messages))
	}
}

func TestSendCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Send(ctx, &sink{}, batch.NewSlice(testSchema, testBatch(memory.DefaultAllocator, 1))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Schema() *arrow.Schema                           { return testSchema }
func (f failing) Next(context.Context) (arrow.RecordBatch, error) { return nil, f.err }
func (f failing) Close() error                                    { return nil }

func TestSizeOfSlice(t *testing.T) {
	b := testBatch(memory.DefaultAllocator, 1000, 1000, 1000, 10)
	defer b.Release()
	s := b.NewSlice(3, 4)
	defer s.Release()
	if n := Size(s); n < 20 || n > 200 {
		t.Errorf("the small row takes %d bytes", n)
	}
	if n := Size(b); n < 5000 || n > 6000 {
		t.Errorf("all rows take %d bytes", n)
	}
}
