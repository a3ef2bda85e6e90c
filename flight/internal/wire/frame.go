package wire

import (
	"runtime"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fields of FlightData.
const (
	fieldDescriptor  = 1
	fieldHeader      = 2
	fieldAppMetadata = 3
	fieldBody        = 1000
)

// frame is a FlightData whose body lies where the record's buffers are. Codec
// sends it without a copy; any other codec sees a message like others.
type frame struct {
	record  arrow.RecordBatch // retained until the body was sent; nil: the body is nobody's
	header  []byte
	body    [][]byte
	size    int // of the body
	sent    bool
	whole   *arrowflight.FlightData
	unfreed atomic.Int64
	// forgotten releases the record of a frame that gRPC never frees: it drops
	// what waits for a client whose connection breaks.
	forgotten runtime.Cleanup
}

// newFrame takes a payload's header and body. What the payload holds beside
// the record must stay as it is until the garbage collector takes it.
func newFrame(p *ipc.Payload, record arrow.RecordBatch) (*frame, error) {
	f := &frame{}
	meta := p.Meta()
	f.header = append(f.header, meta.Bytes()...)
	meta.Release()
	if err := p.SerializeBody(f); err != nil {
		return nil, err
	}
	if record != nil {
		record.Retain()
		f.record = record
		f.forgotten = runtime.AddCleanup(f, arrow.RecordBatch.Release, record)
	}
	return f, nil
}

// Write takes a part of the body. It implements io.Writer but that it keeps b.
func (f *frame) Write(b []byte) (int, error) {
	f.body = append(f.body, b[:len(b):len(b)])
	f.size += len(b)
	return len(b), nil
}

// slices is the message as gRPC sends it. It hands the record over to gRPC,
// which frees the buffers when they are written.
func (f *frame) slices() mem.BufferSlice {
	f.sent = true
	small := protowire.AppendTag(make([]byte, 0, len(f.header)+32), fieldHeader, protowire.BytesType)
	small = protowire.AppendBytes(small, f.header)
	if f.size > 0 {
		small = protowire.AppendTag(small, fieldBody, protowire.BytesType)
		small = protowire.AppendVarint(small, uint64(f.size))
	}
	var out mem.BufferSlice
	f.unfreed.Store(1)
	for _, b := range f.body {
		if mem.IsBelowBufferPoolingThreshold(len(b)) { // gRPC does not free it
			small = append(small, b...)
			continue
		}
		out = append(out, mem.SliceBuffer(small))
		small = nil
		f.unfreed.Add(1)
		out = append(out, mem.NewBuffer(&b, f))
	}
	if len(small) > 0 {
		out = append(out, mem.SliceBuffer(small))
	}
	f.Put(nil)
	return out
}

// Get implements mem.BufferPool. Nobody asks.
func (f *frame) Get(int) *[]byte { panic("BUG: a frame gives no buffers") }

// Put implements mem.BufferPool: one of the buffers was written.
func (f *frame) Put(*[]byte) {
	if f.unfreed.Add(-1) == 0 {
		f.release()
	}
}

func (f *frame) release() {
	if f.record != nil {
		f.forgotten.Stop()
		f.record.Release()
		f.record = nil
	}
}

// done ends the sending of a frame that was not handed over.
func (f *frame) done() {
	if !f.sent {
		f.release()
	}
}

// message is the frame as others make it.
func (f *frame) message() *arrowflight.FlightData {
	if f.whole == nil {
		f.whole = &arrowflight.FlightData{DataHeader: f.header}
		if f.size > 0 {
			f.whole.DataBody = make([]byte, 0, f.size)
		}
		for _, b := range f.body {
			f.whole.DataBody = append(f.whole.DataBody, b...)
		}
	}
	return f.whole
}

// ProtoReflect implements proto.Message.
func (f *frame) ProtoReflect() protoreflect.Message { return f.message().ProtoReflect() }
