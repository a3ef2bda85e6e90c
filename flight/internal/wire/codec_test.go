package wire

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// framed takes what a writer makes of batches as messages of Codec.
type framed struct {
	sink
	t *testing.T
}

func (f *framed) SendMsg(m any) error {
	own, err := Codec().Marshal(m)
	if err != nil {
		f.t.Fatal(err)
	}
	defer own.Free()
	var d arrowflight.FlightData
	if err := proto.Unmarshal(own.Materialize(), &d); err != nil {
		f.t.Fatal(err)
	}
	var again arrowflight.FlightData
	if err := Codec().Unmarshal(own, &again); err != nil || !proto.Equal(&d, &again) {
		f.t.Errorf("the codec reads another message than protobuf does: %v", err)
	}
	if !proto.Equal(m.(proto.Message), &d) {
		f.t.Error("protobuf writes another message than the codec does")
	}
	return f.Send(&d)
}

func TestFramesAreMessages(t *testing.T) {
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer check.AssertSize(t, 0)
	in := testBatch(check, 1, 5, 3000, 0, 100_000, 7)
	defer in.Release()
	for name, b := range map[string]struct{ from, to int64 }{"whole": {0, 6}, "slice": {1, 5}, "empty": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			rows := in.NewSlice(b.from, b.to)
			defer rows.Release()
			out := &framed{t: t}
			w, err := newWriter(out, rows.Schema())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.write(rows, MessageBytesMax); err != nil {
				t.Fatal(err)
			}
			r, err := arrowflight.NewRecordReader(&out.sink)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Release()
			if !r.Next() || !array.RecordEqual(rows, r.RecordBatch()) {
				t.Error("another batch came back")
			}
		})
	}
}

func TestRecordIsHeldUntilItIsSent(t *testing.T) {
	check := memory.NewCheckedAllocator(memory.DefaultAllocator)
	b := testBatch(check, 10_000, 20_000)
	var held mem.BufferSlice
	w, err := newWriter(senderFunc(func(m any) error {
		slices, err := Codec().Marshal(m)
		held = append(held, slices...)
		return err
	}), b.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.write(b, MessageBytesMax); err != nil {
		t.Fatal(err)
	}
	b.Release()
	if check.CurrentAlloc() == 0 {
		t.Error("the record is gone before it was sent")
	}
	held.Free()
	check.AssertSize(t, 0)
}

// senderFunc is a gRPC stream's half that sends.
type senderFunc func(any) error

func (f senderFunc) Send(d *arrowflight.FlightData) error { return f(d) }
func (f senderFunc) SendMsg(m any) error                  { return f(m) }

func TestCodecReadsWhatProtobufWrites(t *testing.T) {
	for name, d := range map[string]*arrowflight.FlightData{
		"empty": {}, "header": {DataHeader: []byte("h")}, "app": {AppMetadata: make([]byte, 5000)},
		"all": {DataHeader: []byte("h"), AppMetadata: []byte("m"), DataBody: make([]byte, 100_000),
			FlightDescriptor: &arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: []byte("c"), Path: []string{"a", "b"}}},
	} {
		b, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		// Fields of a later version.
		b = append(b, 0x98, 0x06, 7, 0x9a, 0x06, 2, 'x', 'y', 0x9d, 0x06, 1, 2, 3, 4, 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8)
		var got arrowflight.FlightData
		var slices mem.BufferSlice
		for at := 0; at < len(b); at += 1000 {
			slices = append(slices, mem.SliceBuffer(b[at:min(at+1000, len(b))]))
		}
		if err := Codec().Unmarshal(slices, &got); err != nil || !proto.Equal(d, &got) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, b := range map[string][]byte{
		"half a tag": {0x80}, "field 0": {0x02, 0}, "half a body": {0x12, 5, 'x'}, "a length without end": {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a huge body": {0xc2, 0x3e, 0xff, 0xff, 0xff, 0xff, 0x7f}, "a group": {0x1b}, "a bad descriptor": {0x0a, 2, 0x12, 9}, "half a number": {0x9d, 0x06, 1},
	} {
		if err := Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &arrowflight.FlightData{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	var other arrowflight.Ticket
	b, _ := proto.Marshal(&arrowflight.Ticket{Ticket: []byte("t")})
	if err := Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &other); err != nil || string(other.Ticket) != "t" {
		t.Errorf("another message: %v, %v", &other, err)
	}
}
