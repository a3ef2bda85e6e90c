package gateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"skein/internal/fault"
)

const (
	payloadDepthMax = 64
	exactBelow      = 1 << 53 // integers that a double holds without doubt
)

// payloadJSON writes a Struct as JSON, its fields by name. A Struct knows only
// doubles: those that are whole and below 2^53 are written as integers, all
// others so that they stay doubles.
func payloadJSON(p *structpb.Struct) ([]byte, error) {
	return appendObject(nil, p, 0)
}

func appendObject(dst []byte, p *structpb.Struct, depth int) ([]byte, error) {
	if depth >= payloadDepthMax {
		return nil, fault.Newf(fault.InvalidArgument, "the payload is nested deeper than %d levels", payloadDepthMax)
	}
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(p.GetFields())) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		var err error
		if dst, err = appendValue(dst, p.GetFields()[name], depth); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendValue(dst []byte, v *structpb.Value, depth int) ([]byte, error) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(dst, k.BoolValue), nil
	case *structpb.Value_NumberValue:
		return appendDouble(dst, k.NumberValue)
	case *structpb.Value_StringValue:
		return appendQuoted(dst, k.StringValue), nil
	case *structpb.Value_StructValue:
		return appendObject(dst, k.StructValue, depth+1)
	case *structpb.Value_ListValue:
		return appendList(dst, k.ListValue, depth+1)
	}
	return append(dst, "null"...), nil
}

func appendList(dst []byte, l *structpb.ListValue, depth int) ([]byte, error) {
	if depth >= payloadDepthMax {
		return nil, fault.Newf(fault.InvalidArgument, "the payload is nested deeper than %d levels", payloadDepthMax)
	}
	dst = append(dst, '[')
	for i, v := range l.GetValues() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, v, depth); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendDouble(dst []byte, f float64) ([]byte, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fault.Newf(fault.InvalidArgument, "the payload holds %v: JSON has no such number, send null or a string", f)
	case f == math.Trunc(f) && math.Abs(f) < exactBelow && !(f == 0 && math.Signbit(f)):
		return strconv.AppendInt(dst, int64(f), 10), nil
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return append(dst, text...), nil
}

// appendQuoted appends a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("BUG: a string is no JSON: " + err.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
