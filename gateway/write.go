package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"skein/coordinator"
	"skein/gateway/internal/record"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// Write implements OlapService.
func (s *Service) Write(ctx context.Context, req *olapv1.WriteRequest) (*olapv1.WriteResponse, error) {
	row, err := s.rowOf(req)
	if err == nil {
		err = s.writeOne(ctx, row)
	}
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.WriteResponse{Success: true, Message: writtenMessage(1)}, nil
}

func (s *Service) writeOne(ctx context.Context, row record.Row) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	return ownPlace(s.coord.Write(ctx, row.Table, []coordinator.Record{row.Record}))
}

// WriteStream implements IngestService.
func (s *Service) WriteStream(stream grpc.ClientStreamingServer[olapv1.WriteRequest, olapv1.WriteStreamResponse]) error {
	ctx := stream.Context()
	b := s.newBatcher("record")
	for n := 1; ; n++ {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err // the client is gone, or its message was too large
		}
		row, err := s.rowOf(req)
		if err == nil {
			err = b.add(ctx, row, n)
		} else {
			err = b.refuse(ctx, err, n)
		}
		if err != nil {
			return fault.Status(err)
		}
	}
	if err := b.flush(ctx); err != nil {
		return fault.Status(err)
	}
	return stream.SendAndClose(&olapv1.WriteStreamResponse{RecordsWritten: b.written})
}

// rowOf is a request as a record.
func (s *Service) rowOf(req *olapv1.WriteRequest) (record.Row, error) {
	at, err := s.timeOf(req)
	if err != nil {
		return record.Row{}, err
	}
	row := record.Row{Table: req.GetTable(), Record: coordinator.Record{ID: req.GetId(), Timestamp: at}}
	if err := row.Check(); err != nil {
		return record.Row{}, err
	}
	row.Payload, err = payloadJSON(req.GetPayload())
	if err == nil && len(row.Payload) > record.BytesMax {
		err = fault.Newf(fault.TooLarge, "the payload is longer than %d MiB: send smaller records", record.BytesMax>>20)
	}
	return row, err
}

func (s *Service) timeOf(req *olapv1.WriteRequest) (time.Time, error) {
	t := req.GetTimestamp()
	if t == nil {
		return s.opts.Now().UTC(), nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, fault.Newf(fault.InvalidArgument, "timestamp with seconds %d, nanos %d: use the years 1 to 9999 and nanos below 1e9", t.GetSeconds(), t.GetNanos())
	}
	return t.AsTime(), nil
}

func writtenMessage(n int64) string {
	if n == 1 {
		return "1 record written"
	}
	return fmt.Sprintf("%d records written", n)
}
