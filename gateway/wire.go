package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
)

// wire is the JSON of the specification's examples: names as in the .proto,
// 64-bit integers as numbers, zero scalars and empty lists written, unset
// messages, unset optional fields and empty maps left out. It implements
// runtime.Marshaler. Requests may write either form of a name and either form
// of an integer.
type wire struct{}

// ContentType implements runtime.Marshaler.
func (wire) ContentType(any) string { return "application/json" }

// Marshal implements runtime.Marshaler.
func (wire) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return appendMessage(nil, m.ProtoReflect()), nil
	}
	return json.Marshal(v)
}

// Unmarshal implements runtime.Marshaler. Unknown and repeated fields are
// errors.
func (wire) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return json.Unmarshal(data, v)
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return errors.New(cleanError(err.Error()))
	}
	return nil
}

// NewEncoder implements runtime.Marshaler.
func (x wire) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := x.Marshal(v)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// NewDecoder implements runtime.Marshaler.
func (x wire) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		switch {
		case err != nil:
			return err
		case len(data) == 0:
			return io.EOF
		}
		return x.Unmarshal(data, v)
	})
}

// cleanError rewrites "proto: (line 1:2): unknown field …", whose spaces
// protojson varies on purpose.
func cleanError(msg string) string {
	msg = strings.ReplaceAll(msg, "\u00a0", " ")
	msg = strings.TrimSpace(strings.TrimPrefix(msg, "proto:"))
	return regexp.MustCompile(`^\(line (\d+):(\d+)\): `).ReplaceAllString(msg, "line $1, column $2: ")
}

func appendMessage(dst []byte, m protoreflect.Message) []byte {
	if t, ok := m.Interface().(*timestamppb.Timestamp); ok {
		return appendQuoted(dst, t.AsTime().Format(time.RFC3339Nano))
	}
	dst = append(dst, '{')
	open := len(dst)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		absent := !m.Has(f) && (f.HasPresence() || f.IsMap())
		if absent {
			continue
		}
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, string(f.Name())), ':')
		dst = appendField(dst, f, m.Get(f))
	}
	return append(dst, '}')
}

func appendField(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch {
	case f.IsMap():
		return appendMap(dst, f, v.Map())
	case f.IsList():
		dst = append(dst, '[')
		for i := range v.List().Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendScalar(dst, f, v.List().Get(i))
		}
		return append(dst, ']')
	}
	return appendScalar(dst, f, v)
}

func appendMap(dst []byte, f protoreflect.FieldDescriptor, m protoreflect.Map) []byte {
	values := make(map[string]protoreflect.Value, m.Len())
	for k, v := range m.Range {
		values[k.String()] = v
	}
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = appendScalar(dst, f.MapValue(), values[name])
	}
	return append(dst, '}')
}

func appendScalar(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool())
	case protoreflect.StringKind:
		return appendQuoted(dst, v.String())
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return strconv.AppendInt(dst, v.Int(), 10)
	case protoreflect.DoubleKind:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			return appendQuoted(dst, fmt.Sprint(v.Float()))
		}
		return strconv.AppendFloat(dst, v.Float(), 'f', -1, 64)
	case protoreflect.MessageKind:
		return appendMessage(dst, v.Message())
	}
	panic(fmt.Sprintf("BUG: field %s has a type that no answer has", f.FullName()))
}
