package wire

import (
	"encoding/binary"
	"fmt"
	"io"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's codec of protobuf, but that it sends what Send makes without
// copying it, and copies the body of what comes once instead of twice.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

type codec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return f.slices(), nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	d, ok := v.(*arrowflight.FlightData)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	d.Reset()
	r := data.Reader()
	defer r.Close()
	for r.Remaining() > 0 {
		if err := readField(r, d); err != nil {
			return fmt.Errorf("malformed FlightData: %w", err)
		}
	}
	return nil
}

// readField reads one field into d, and passes over those that it does not
// know.
func readField(r *mem.Reader, d *arrowflight.FlightData) error {
	tag, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	number, kind := protowire.DecodeTag(tag)
	if number < protowire.MinValidNumber {
		return fmt.Errorf("field %d", number)
	}
	if kind != protowire.BytesType {
		return skipField(r, kind)
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if size > uint64(r.Remaining()) {
		return io.ErrUnexpectedEOF
	}
	switch number {
	case fieldHeader:
		d.DataHeader, err = readBytes(r, size)
	case fieldAppMetadata:
		d.AppMetadata, err = readBytes(r, size)
	case fieldBody:
		d.DataBody, err = readBytes(r, size)
	case fieldDescriptor:
		var b []byte
		if b, err = readBytes(r, size); err != nil {
			return err
		}
		if d.FlightDescriptor == nil {
			d.FlightDescriptor = &arrowflight.FlightDescriptor{}
		}
		return proto.UnmarshalOptions{Merge: true}.Unmarshal(b, d.FlightDescriptor)
	default:
		_, err = r.Discard(int(size))
	}
	return err
}

func readBytes(r *mem.Reader, size uint64) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

func skipField(r *mem.Reader, kind protowire.Type) error {
	var size int
	switch kind {
	case protowire.VarintType:
		_, err := binary.ReadUvarint(r)
		return err
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	default:
		return fmt.Errorf("wire type %d", kind)
	}
	_, err := r.Discard(size)
	return err
}
