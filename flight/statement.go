package flight

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"skein/coordinator"
	"skein/flight/internal/wire"
	"skein/internal/fault"
)

// noTransaction refuses statements inside a transaction that cannot exist.
func noTransaction(id []byte) error {
	if len(id) > 0 {
		return fault.New(fault.InvalidArgument, "unknown transaction: this server has none, use autocommit")
	}
	return nil
}

// prepare binds the text of a statement.
func (s *sqlServer) prepare(ctx context.Context, sql string, transaction []byte) (*coordinator.Statement, error) {
	if err := noTransaction(transaction); err != nil {
		return nil, err
	}
	if len(sql) > SQLBytesMax {
		return nil, fault.Newf(fault.InvalidArgument, "the statement has %d bytes, %d are allowed: load data by bulk ingest", len(sql), SQLBytesMax)
	}
	return s.coord.Prepare(ctx, sql)
}

// GetFlightInfoStatement implements flightsql.Server. A statement without rows
// runs here, because clients that send it this way may never fetch.
func (s *sqlServer) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	st, err := s.prepare(ctx, q.GetQuery(), q.GetTransactionId())
	if err != nil {
		return nil, err
	}
	if n := paramCount(st); n > 0 {
		return nil, missingParams(n)
	}
	if !st.ReturnsRows() {
		if _, err := s.coord.Execute(ctx, q.GetQuery(), nil); err != nil {
			return nil, err
		}
		return infoOfUpdate(d), nil
	}
	ticket, err := flightsql.CreateStatementQueryTicket([]byte(q.GetQuery()))
	if err != nil {
		return nil, err
	}
	return infoOf(d, st.Schema, ticket), nil
}

// GetSchemaStatement implements flightsql.Server.
func (s *sqlServer) GetSchemaStatement(ctx context.Context, q flightsql.StatementQuery, _ *arrowflight.FlightDescriptor) (*arrowflight.SchemaResult, error) {
	st, err := s.prepare(ctx, q.GetQuery(), q.GetTransactionId())
	if err != nil {
		return nil, err
	}
	return &arrowflight.SchemaResult{Schema: serialize(datasetSchema(st))}, nil
}

// DoPutCommandStatementUpdate implements flightsql.Server.
func (s *sqlServer) DoPutCommandStatementUpdate(ctx context.Context, u flightsql.StatementUpdate) (int64, error) {
	st, err := s.prepare(ctx, u.GetQuery(), u.GetTransactionId())
	if err != nil {
		return 0, err
	}
	if n := paramCount(st); n > 0 {
		return 0, missingParams(n)
	}
	if st.ReturnsRows() {
		return 0, returnsRows()
	}
	return s.coord.Execute(ctx, u.GetQuery(), nil)
}

// doGet answers the tickets of statements; others are left to the library.
func (s *sqlServer) doGet(t *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) (handled bool, err error) {
	ctx := stream.Context()
	switch m := parseTicket(t).(type) {
	case *flightpb.TicketStatementQuery:
		if len(m.GetStatementHandle()) > SQLBytesMax {
			return true, fault.New(fault.InvalidArgument, "the ticket is not one of this server")
		}
		r, err := s.coord.Query(ctx, string(m.GetStatementHandle()), nil)
		if err != nil {
			return true, err
		}
		return true, wire.Send(ctx, stream, r)
	case *flightpb.CommandPreparedStatementQuery:
		r, err := s.queryPrepared(ctx, m.GetPreparedStatementHandle())
		if err != nil {
			return true, err
		}
		return true, wire.Send(ctx, stream, r)
	}
	return false, nil
}

func returnsRows() error {
	return fault.New(fault.InvalidArgument, "the statement returns rows: run it as a query")
}

func missingParams(n int) error {
	return fault.Newf(fault.InvalidArgument, "the statement has %d parameters: prepare it and bind their values", n)
}

// infoOf describes a result with one endpoint on this same connection: an
// empty list of locations is what every driver takes. schema may be nil where
// only the result will tell it.
func infoOf(d *arrowflight.FlightDescriptor, schema *arrow.Schema, ticket []byte) *arrowflight.FlightInfo {
	info := &arrowflight.FlightInfo{
		FlightDescriptor: d,
		Endpoint:         []*arrowflight.FlightEndpoint{{Ticket: &arrowflight.Ticket{Ticket: ticket}}},
		TotalRecords:     -1,
		TotalBytes:       -1,
	}
	if schema != nil {
		info.Schema = serialize(schema)
	}
	return info
}

// infoOfUpdate is the empty result of a statement that ran already.
func infoOfUpdate(d *arrowflight.FlightDescriptor) *arrowflight.FlightInfo {
	return &arrowflight.FlightInfo{FlightDescriptor: d, Schema: serialize(arrow.NewSchema(nil, nil))}
}

// datasetSchema is what a statement returns; JDBC takes an empty one for that
// of an update.
func datasetSchema(st *coordinator.Statement) *arrow.Schema {
	if !st.ReturnsRows() {
		return arrow.NewSchema(nil, nil)
	}
	return st.Schema
}

func paramCount(st *coordinator.Statement) int {
	if st.Params == nil {
		return 0
	}
	return st.Params.NumFields()
}

func serialize(schema *arrow.Schema) []byte {
	return arrowflight.SerializeSchema(schema, memory.DefaultAllocator)
}

func unmarshalAny(b []byte) (proto.Message, error) {
	var a anypb.Any
	if err := proto.Unmarshal(b, &a); err != nil {
		return nil, err
	}
	return a.UnmarshalNew()
}
