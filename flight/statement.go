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
	"skein/internal/batch"
	"skein/internal/fault"
)

// prepare binds the text of a statement.
func (s *sqlServer) prepare(ctx context.Context, sql string, transaction []byte) (*coordinator.Statement, error) {
	if len(sql) > SQLBytesMax {
		return nil, fault.Newf(fault.InvalidArgument, "the statement has %d bytes, %d are allowed: load data by bulk ingest", len(sql), SQLBytesMax)
	}
	if err := s.transactions.check(transaction); err != nil {
		return nil, err
	}
	st, err := s.coord.Prepare(ctx, sql)
	if err == nil && !st.ReturnsRows() && len(transaction) > 0 {
		return nil, noChanges()
	}
	if err == nil && isJava(ctx) {
		st = javaStatement(st)
	}
	return st, err
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
	return s.infoOfQuery(ctx, d, st.Schema, q.GetQuery())
}

// infoOfQuery describes the result of a query without parameters. Its tickets
// are good when a prepared statement is closed, too: other processes may read
// them then.
func (s *sqlServer) infoOfQuery(ctx context.Context, d *arrowflight.FlightDescriptor, schema *arrow.Schema, sql string) (*arrowflight.FlightInfo, error) {
	if info, err := s.partedInfo(ctx, d, schema, sql); info != nil || err != nil {
		return info, err
	}
	ticket, err := flightsql.CreateStatementQueryTicket(newHandle(sql))
	if err != nil {
		return nil, err
	}
	return infoOf(d, schema, ticket), nil
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

// doGet answers the tickets of statements and of parts of results; others are
// left to the library.
func (s *sqlServer) doGet(t *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) (handled bool, err error) {
	m := parseTicket(t)
	if m == nil && !isPart(t.GetTicket()) {
		return false, nil
	}
	ctx, done, err := s.running.begin(stream.Context(), t.GetTicket())
	if err != nil {
		return true, err
	}
	defer done()
	r, err := s.read(ctx, m, t.GetTicket())
	if err != nil {
		return true, why(ctx, err)
	}
	if isJava(ctx) {
		r = newJavaReader(r)
	}
	return true, why(ctx, wire.Send(ctx, stream, r))
}

// read starts the query of a ticket; message is nil where it is one of a part.
func (s *sqlServer) read(ctx context.Context, message proto.Message, ticket []byte) (batch.Reader, error) {
	switch m := message.(type) {
	case nil:
		return s.readPart(ctx, ticket)
	case *flightpb.TicketStatementQuery:
		sql, err := readHandle(m.GetStatementHandle())
		if err != nil {
			return nil, err
		}
		return s.coord.Query(ctx, sql, nil)
	case *flightpb.CommandPreparedStatementQuery:
		return s.queryPrepared(ctx, m.GetPreparedStatementHandle())
	}
	panic("BUG: a ticket of no statement")
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
