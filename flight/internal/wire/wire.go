package wire

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"skein/internal/batch"
)

// MessageBytesMax is the size that the rows of one message are kept below.
// ADBC accepts messages of 16 MiB.
const MessageBytesMax = 12 << 20

// Sender is the sending half of a Flight stream.
type Sender interface {
	Send(*arrowflight.FlightData) error
}

// Send writes r's schema at once and then its batches, each split so that a
// message stays below MessageBytesMax where its rows allow that. It reads
// aheadMax batches ahead of the one that is being sent. It returns when the
// stream is at its end, failed, or ctx is over; r is closed then.
func Send(ctx context.Context, s Sender, r batch.Reader) (err error) {
	defer func() {
		if closeErr := r.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close the result: %w", closeErr)
		}
	}()
	w, err := newWriter(s, r.Schema())
	if err != nil {
		return err
	}
	defer w.rows.Close()
	a := readAhead(ctx, r)
	defer a.stop()
	for b := range a.batches {
		err := w.write(b, MessageBytesMax)
		b.Release()
		if err != nil {
			return err
		}
	}
	if !errors.Is(a.err, io.EOF) {
		return a.err
	}
	return nil
}

// writer is the payload writer behind Arrow's: it sends frames.
type writer struct {
	to     Sender
	rows   *ipc.Writer
	record arrow.RecordBatch // that is being written
}

// newWriter sends the schema. Arrow's writer does so only with the first
// batch, but a reader at the other end waits for the schema.
func newWriter(to Sender, schema *arrow.Schema) (*writer, error) {
	w := &writer{to: to}
	if err := ipc.NewWriterWithPayloadWriter(w, ipc.WithSchema(schema)).Close(); err != nil {
		return nil, err
	}
	w.rows = ipc.NewWriterWithPayloadWriter(&afterSchema{PayloadWriter: w}, ipc.WithSchema(schema))
	return w, nil
}

// Start implements ipc.PayloadWriter.
func (w *writer) Start() error { return nil }

// WritePayload implements ipc.PayloadWriter.
func (w *writer) WritePayload(p ipc.Payload) error {
	f, err := newFrame(&p, w.record)
	if err != nil {
		return err
	}
	defer f.done()
	if stream, ok := w.to.(interface{ SendMsg(any) error }); ok {
		return stream.SendMsg(f)
	}
	return w.to.Send(f.message())
}

// Close implements ipc.PayloadWriter.
func (w *writer) Close() error { return nil }

// afterSchema drops the first payload, a schema that was sent already.
type afterSchema struct {
	ipc.PayloadWriter
	passed bool
}

// WritePayload implements ipc.PayloadWriter.
func (a *afterSchema) WritePayload(p ipc.Payload) error {
	if !a.passed {
		a.passed = true
		return nil
	}
	return a.PayloadWriter.WritePayload(p)
}

// write sends b in as few halves as keep each below limit bytes.
func (w *writer) write(b arrow.RecordBatch, limit int64) error {
	rows := b.NumRows()
	if rows < 2 || Size(b) <= limit {
		w.record = b
		return w.rows.Write(b)
	}
	for _, cut := range [][2]int64{{0, rows / 2}, {rows / 2, rows}} {
		half := b.NewSlice(cut[0], cut[1])
		err := w.write(half, limit)
		half.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// aheadMax is how many batches wait to be sent at most.
const aheadMax = 2

// ahead reads batches in a goroutine of its own, before its taker.
type ahead struct {
	batches chan arrow.RecordBatch // retained for the taker; closed at the end
	err     error                  // why it ended; set before batches is closed
	cancel  context.CancelFunc
}

func readAhead(ctx context.Context, r batch.Reader) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{batches: make(chan arrow.RecordBatch, aheadMax-1), cancel: cancel}
	go a.run(ctx, r)
	return a
}

func (a *ahead) run(ctx context.Context, r batch.Reader) {
	defer close(a.batches)
	for {
		b, err := r.Next(ctx)
		if err != nil {
			a.err = err
			return
		}
		b.Retain()
		select {
		case a.batches <- b:
		case <-ctx.Done():
			b.Release()
			a.err = ctx.Err()
			return
		}
	}
}

// stop ends the reading and waits for it.
func (a *ahead) stop() {
	a.cancel()
	for b := range a.batches {
		b.Release()
	}
}
