package flight_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"skein/coordinator"
	"skein/flight"
	"skein/internal/fault"
)

func createOrAppend() *flightsql.TableDefinitionOptions {
	return &flightsql.TableDefinitionOptions{
		IfNotExist: flightsql.TableDefinitionOptionsTableNotExistOptionCreate,
		IfExists:   flightsql.TableDefinitionOptionsTableExistsOptionAppend,
	}
}

func ingestCommand(t *testing.T, table string) []byte {
	t.Helper()
	a, err := anypb.New(&flightpb.CommandStatementIngest{Table: table, TableDefinitionOptions: createOrAppend()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (d *door) ingest(ctx context.Context, o *flightsql.ExecuteIngestOpts, batches ...arrow.RecordBatch) (int64, error) {
	schema := numbers().Schema()
	r, err := array.NewRecordReader(schema, batches)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	return d.client.ExecuteIngest(ctx, r, o)
}

func TestIngest(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	catalog, schema := "skein", "main"
	n, err := d.ingest(t.Context(), &flightsql.ExecuteIngestOpts{
		Table: "t", TableDefinitionOptions: createOrAppend(), Catalog: &catalog, Schema: &schema,
		Options: map[string]string{"id": "a", "time": "b", "id_buckets": "4"},
	}, numbers(1, 2), numbers(3))
	if n != 3 || err != nil || c.ingested != 3 {
		t.Fatal(n, err, c.ingested)
	}
	in := c.ingests[0]
	if in.Table != "t" || in.Mode != coordinator.IngestCreateOrAppend || in.IDColumn != "a" || in.TimeColumn != "b" ||
		!maps.Equal(in.Properties, map[string]string{"id_buckets": "4"}) {
		t.Errorf("%+v", in)
	}
	stream, err := d.raw.DoPut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := arrowflight.NewRecordWriter(stream, ipc.WithSchema(numbers().Schema()))
	w.SetFlightDescriptor(&arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: ingestCommand(t, "t")})
	if err := errors.Join(w.Close(), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil || len(c.ingests) != 2 {
		t.Error("columns without rows:", err)
	}
}

func TestIngestModes(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	const create, fail, unsaid = 1, 2, 0
	const failExists, appendTo, replace = 1, 2, 3
	cases := []struct {
		missing flightsql.TableDefinitionOptionsTableNotExistOption
		exists  flightsql.TableDefinitionOptionsTableExistsOption
		mode    coordinator.IngestMode
		code    fault.Code
	}{
		{create, failExists, coordinator.IngestCreate, 0},
		{create, unsaid, coordinator.IngestCreate, 0},
		{fail, appendTo, coordinator.IngestAppend, 0},
		{unsaid, appendTo, coordinator.IngestAppend, 0},
		{create, appendTo, coordinator.IngestCreateOrAppend, 0},
		{create, replace, coordinator.IngestReplace, 0},
		{fail, replace, 0, fault.Unimplemented},
		{fail, failExists, 0, fault.InvalidArgument},
		{unsaid, unsaid, 0, fault.InvalidArgument},
	}
	for _, k := range cases {
		c.ingests = nil
		_, err := d.ingest(t.Context(), &flightsql.ExecuteIngestOpts{
			Table: "t", TableDefinitionOptions: &flightsql.TableDefinitionOptions{IfNotExist: k.missing, IfExists: k.exists},
		}, numbers(1))
		if k.code != 0 {
			wantCode(t, err, k.code, "")
			continue
		}
		if err != nil || len(c.ingests) != 1 || c.ingests[0].Mode != k.mode {
			t.Errorf("%v/%v: %v %v", k.missing, k.exists, c.ingests, err)
		}
	}
}

func TestIngestErrors(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	other := "other"
	for name, k := range map[string]struct {
		o    *flightsql.ExecuteIngestOpts
		code fault.Code
	}{
		"temporary":   {&flightsql.ExecuteIngestOpts{Table: "t", Temporary: true}, fault.Unimplemented},
		"transaction": {&flightsql.ExecuteIngestOpts{Table: "t", TransactionId: []byte("x")}, fault.NotFound},
		"catalog":     {&flightsql.ExecuteIngestOpts{Table: "t", Catalog: &other}, fault.NotFound},
		"schema":      {&flightsql.ExecuteIngestOpts{Table: "t", Schema: &other}, fault.NotFound},
		"exists":      {&flightsql.ExecuteIngestOpts{Table: "exists"}, fault.AlreadyExists},
		"missing":     {&flightsql.ExecuteIngestOpts{Table: "missing"}, fault.NotFound},
	} {
		k.o.TableDefinitionOptions = createOrAppend()
		_, err := d.ingest(t.Context(), k.o, numbers(1))
		t.Log(name)
		wantCode(t, err, k.code, "")
	}
	first := &arrowflight.FlightData{FlightDescriptor: &arrowflight.FlightDescriptor{Cmd: ingestCommand(t, "")}}
	wantCode(t, put(t.Context(), d.raw, first), fault.InvalidArgument, "no table")
	if c.ingested > 0 {
		t.Errorf("%d rows came in", c.ingested)
	}
}

// A client that dies in the middle has stored nothing.
func TestIngestCut(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := d.raw.DoPut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := arrowflight.NewRecordWriter(stream, ipc.WithSchema(numbers().Schema()))
	w.SetFlightDescriptor(&arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: ingestCommand(t, "t")})
	for range 10 {
		if err := w.Write(numbers(1, 2, 3)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	d.stop()
	if c.ingested > 0 || len(c.ingests) > 0 {
		t.Errorf("%d rows of a cut stream came in", c.ingested)
	}
}

// Offsets and text that a client made up are refused before they are used.
func TestMalformedBatches(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	offsets := func(v ...int32) *memory.Buffer { return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v)) }
	for name, k := range map[string]struct {
		offsets *memory.Buffer
		text    string
		ok      bool
	}{
		"good":         {offsets(0, 2, 4), "abcd", true},
		"too far":      {offsets(0, 2, 1000), "abcd", false},
		"backwards":    {offsets(0, 4, 2), "abcd", false},
		"negative":     {offsets(-5, 2, 4), "abcd", false},
		"not in UTF-8": {offsets(0, 2, 4), "ab\xff\xfe", false},
	} {
		t.Run(name, func(t *testing.T) {
			data := array.NewData(arrow.BinaryTypes.String, 2, []*memory.Buffer{nil, offsets(0, 2, 4), memory.NewBufferBytes([]byte("abcd"))}, nil, 0, 0)
			schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
			good := array.NewRecordBatch(schema, []arrow.Array{array.MakeFromData(data)}, 2)
			messages := &recorded{}
			w := arrowflight.NewRecordWriter(messages, ipc.WithSchema(schema))
			w.SetFlightDescriptor(&arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: ingestCommand(t, "t")})
			if err := errors.Join(w.Write(good), w.Close()); err != nil {
				t.Fatal(err)
			}
			body := messages.sent[1].DataBody // offsets, padded to 16 bytes, and text
			copy(body, k.offsets.Bytes())
			copy(body[16:], k.text)
			stream, err := d.raw.DoPut(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages.sent {
				if err := stream.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			err = stream.CloseSend()
			for err == nil {
				_, err = stream.Recv()
			}
			if k.ok && err != io.EOF {
				t.Error(err)
			}
			if !k.ok {
				wantCode(t, err, fault.InvalidArgument, "arrow/array: string")
			}
		})
	}
	if c.ingested != 2 {
		t.Errorf("%d rows came in, 2 were good", c.ingested)
	}
}

// Columns without values, plain and nested, are well formed.
func TestNullColumns(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.Null, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.Null), Nullable: true},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.Null, Nullable: true}), Nullable: true},
	}, nil)
	b, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"n":null,"l":[null,null],"s":{"x":null}},{"n":null,"l":null,"s":null}]`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := array.NewRecordReader(schema, []arrow.RecordBatch{b})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	n, err := d.client.ExecuteIngest(t.Context(), r, &flightsql.ExecuteIngestOpts{Table: "t", TableDefinitionOptions: createOrAppend()})
	if n != 2 || err != nil {
		t.Error(n, err)
	}
}

// recorded keeps the messages that are sent.
type recorded struct{ sent []*arrowflight.FlightData }

func (r *recorded) Send(d *arrowflight.FlightData) error {
	r.sent = append(r.sent, proto.Clone(d).(*arrowflight.FlightData))
	return nil
}
