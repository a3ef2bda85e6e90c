package flight

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/flight/internal/wire"
	"skein/internal/batch"
	"skein/internal/fault"
)

// CreatePreparedStatement implements flightsql.Server.
func (s *sqlServer) CreatePreparedStatement(ctx context.Context, r flightsql.ActionCreatePreparedStatementRequest) (res flightsql.ActionCreatePreparedStatementResult, err error) {
	st, err := s.prepare(ctx, r.GetQuery(), r.GetTransactionId())
	if err != nil {
		return res, err
	}
	handle, err := s.prepared.add(r.GetQuery(), st)
	if err != nil {
		return res, err
	}
	update := !st.ReturnsRows()
	res.Handle = handle
	res.DatasetSchema = datasetSchema(st)
	res.ParameterSchema = paramSchema(st.Params)
	res.IsUpdate = &update
	return res, nil
}

// paramSchema is the schema that clients bind by. It is made for JDBC, the one
// that does: it refuses NULL for a field that is not nullable and any value
// for one without a type, and puts milliseconds into every field of times,
// whatever its unit.
func paramSchema(params *arrow.Schema) *arrow.Schema {
	if params == nil {
		return arrow.NewSchema(nil, nil)
	}
	fields := params.Fields()
	for i := range fields {
		fields[i].Nullable = true
		switch t := fields[i].Type.(type) {
		case *arrow.NullType:
			fields[i].Type = arrow.BinaryTypes.String
		case *arrow.TimestampType:
			fields[i].Type = &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: t.TimeZone}
		case *arrow.Time32Type, *arrow.Time64Type:
			fields[i].Type = arrow.FixedWidthTypes.Time32ms
		}
	}
	return arrow.NewSchema(fields, nil)
}

// ClosePreparedStatement implements flightsql.Server. A handle that is gone
// already is no error: closing is what the client wanted.
func (s *sqlServer) ClosePreparedStatement(_ context.Context, r flightsql.ActionClosePreparedStatementRequest) error {
	s.prepared.remove(r.GetPreparedStatementHandle())
	return nil
}

// DoPutPreparedStatementQuery implements flightsql.Server: it binds values.
func (s *sqlServer) DoPutPreparedStatementQuery(_ context.Context, q flightsql.PreparedStatementQuery, rows arrowflight.MessageReader, _ arrowflight.MetadataWriter) ([]byte, error) {
	handle := q.GetPreparedStatementHandle()
	p, err := s.prepared.get(handle)
	if err != nil {
		return nil, err
	}
	defer p.release()
	params, err := readParams(rows, paramCount(p.statement))
	if err != nil {
		return nil, err
	}
	return handle, s.prepared.bind(handle, params)
}

// GetFlightInfoPreparedStatement implements flightsql.Server.
func (s *sqlServer) GetFlightInfoPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	p, err := s.prepared.get(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	defer p.release()
	if !p.statement.ReturnsRows() {
		if _, err := s.execute(ctx, p, p.params); err != nil {
			return nil, err
		}
		return infoOfUpdate(d), nil
	}
	if n := paramCount(p.statement); n > 0 {
		if p.params == nil {
			return nil, missingParams(n)
		}
		// The types of the result may depend on those of the values.
		return infoOf(d, nil, d.Cmd), nil
	}
	return s.infoOfQuery(ctx, d, p.statement.Schema, p.sql)
}

// GetSchemaPreparedStatement implements flightsql.Server.
func (s *sqlServer) GetSchemaPreparedStatement(_ context.Context, q flightsql.PreparedStatementQuery, _ *arrowflight.FlightDescriptor) (*arrowflight.SchemaResult, error) {
	p, err := s.prepared.get(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	defer p.release()
	return &arrowflight.SchemaResult{Schema: serialize(datasetSchema(p.statement))}, nil
}

// DoPutPreparedStatementUpdate implements flightsql.Server: it runs the
// statement once for each row of values.
func (s *sqlServer) DoPutPreparedStatementUpdate(ctx context.Context, u flightsql.PreparedStatementUpdate, rows arrowflight.MessageReader) (int64, error) {
	p, err := s.prepared.get(u.GetPreparedStatementHandle())
	if err != nil {
		return 0, err
	}
	defer p.release()
	if p.statement.ReturnsRows() {
		return 0, returnsRows()
	}
	params, err := readParams(rows, paramCount(p.statement))
	if err != nil {
		return 0, err
	}
	if params == nil {
		return s.execute(ctx, p, p.params) // bound before, perhaps
	}
	defer releaseAll(params)
	return s.execute(ctx, p, params)
}

// execute runs p, for all rows of values at once: they take effect together.
func (s *sqlServer) execute(ctx context.Context, p *prepared, params []arrow.RecordBatch) (changed int64, err error) {
	n := paramCount(p.statement)
	switch {
	case n == 0:
		return s.coord.Execute(ctx, p.sql, nil)
	case params == nil:
		return 0, missingParams(n)
	case len(params) == 0:
		return 0, nil
	case len(params) == 1:
		return s.coord.Execute(ctx, p.sql, params[0])
	}
	all, err := batch.Concat(params[0].Schema(), params)
	if err != nil {
		return 0, fault.Wrap(fault.InvalidArgument, err)
	}
	defer all.Release()
	return s.coord.Execute(ctx, p.sql, all)
}

// queryPrepared runs a prepared query, once for each row of its values.
func (s *sqlServer) queryPrepared(ctx context.Context, handle []byte) (batch.Reader, error) {
	p, err := s.prepared.get(handle)
	if err != nil {
		return nil, err
	}
	defer p.release()
	n := paramCount(p.statement)
	switch {
	case !p.statement.ReturnsRows():
		return nil, fault.New(fault.InvalidArgument, "the statement returns no rows: run it as an update")
	case n == 0:
		return s.coord.Query(ctx, p.sql, nil)
	case p.params == nil:
		return nil, missingParams(n)
	}
	var rows []arrow.RecordBatch
	for row := range rowsOf(p.params) {
		row.Retain()
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return batch.NewSlice(p.statement.Schema), nil
	}
	return newRepeated(rows, func(row arrow.RecordBatch) (batch.Reader, error) {
		return s.coord.Query(ctx, p.sql, row)
	})
}

// readParams takes the rows of values that a client sends for n parameters.
// The caller releases them. They are nil if the client sent none at all, but
// not if it sent none of the right number of columns.
func readParams(rows arrowflight.MessageReader, n int) (params []arrow.RecordBatch, err error) {
	defer func() {
		if err != nil {
			releaseAll(params)
			params = nil
		}
	}()
	var count, size int64
	for rows.Next() {
		b := rows.RecordBatch()
		if int(b.NumCols()) != n {
			return params, fault.Newf(fault.InvalidArgument, "the statement has %d parameters, %d values are bound", n, b.NumCols())
		}
		if err := validate(b); err != nil {
			return params, err
		}
		count, size = count+b.NumRows(), size+wire.Size(b)
		if count > ParamRowsMax || size > ParamBytesMax {
			return params, fault.Newf(fault.InvalidArgument, "too many values: at most %d rows and %d bytes can be bound, load data by bulk ingest", ParamRowsMax, ParamBytesMax)
		}
		b.Retain()
		params = append(params, b)
	}
	switch err := rows.Err(); {
	case errors.Is(err, io.EOF): // nothing but the command
		return nil, nil
	case err != nil:
		return params, putError(err)
	case params == nil && n > 0 && rows.Schema() != nil && rows.Schema().NumFields() == n:
		return []arrow.RecordBatch{}, nil
	}
	return params, nil
}
