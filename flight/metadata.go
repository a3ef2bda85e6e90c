package flight

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/fault"
	"skein/meta"
)

// tablesPage is how many tables are asked of the coordinator, and sent, at
// once.
const tablesPage = 500

// tableType is what all tables are. Clients also ask for "BASE TABLE".
const tableType = "TABLE"

type chunks = <-chan arrowflight.StreamChunk

// send hands finished batches over to the library, which releases them.
func send(schema *arrow.Schema, batches ...arrow.RecordBatch) (*arrow.Schema, chunks, error) {
	ch := make(chan arrowflight.StreamChunk, len(batches))
	for _, b := range batches {
		ch <- arrowflight.StreamChunk{Data: b}
	}
	close(ch)
	return schema, ch, nil
}

// build makes one batch.
func build(schema *arrow.Schema, fill func(*array.RecordBuilder)) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	fill(b)
	return b.NewRecordBatch()
}

// GetFlightInfoCatalogs implements flightsql.Server.
func (s *sqlServer) GetFlightInfoCatalogs(_ context.Context, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.Catalogs, d.Cmd), nil
}

// DoGetCatalogs implements flightsql.Server.
func (s *sqlServer) DoGetCatalogs(context.Context) (*arrow.Schema, chunks, error) {
	return send(schema_ref.Catalogs, build(schema_ref.Catalogs, func(b *array.RecordBuilder) {
		b.Field(0).(*array.StringBuilder).Append(Catalog)
	}))
}

// GetFlightInfoSchemas implements flightsql.Server.
func (s *sqlServer) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.DBSchemas, d.Cmd), nil
}

// DoGetDBSchemas implements flightsql.Server.
func (s *sqlServer) DoGetDBSchemas(_ context.Context, c flightsql.GetDBSchemas) (*arrow.Schema, chunks, error) {
	return send(schema_ref.DBSchemas, build(schema_ref.DBSchemas, func(b *array.RecordBuilder) {
		if inCatalog(c.GetCatalog()) && newLike(c.GetDBSchemaFilterPattern()).match(DBSchema) {
			b.Field(0).(*array.StringBuilder).Append(Catalog)
			b.Field(1).(*array.StringBuilder).Append(DBSchema)
		}
	}))
}

// GetFlightInfoTableTypes implements flightsql.Server.
func (s *sqlServer) GetFlightInfoTableTypes(_ context.Context, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.TableTypes, d.Cmd), nil
}

// DoGetTableTypes implements flightsql.Server.
func (s *sqlServer) DoGetTableTypes(context.Context) (*arrow.Schema, chunks, error) {
	return send(schema_ref.TableTypes, build(schema_ref.TableTypes, func(b *array.RecordBuilder) {
		b.Field(0).(*array.StringBuilder).Append(tableType)
	}))
}

// GetFlightInfoTables implements flightsql.Server.
func (s *sqlServer) GetFlightInfoTables(_ context.Context, c flightsql.GetTables, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, tablesSchema(c), d.Cmd), nil
}

func tablesSchema(c flightsql.GetTables) *arrow.Schema {
	if c.GetIncludeSchema() {
		return schema_ref.TablesWithIncludedSchema
	}
	return schema_ref.Tables
}

// DoGetTables implements flightsql.Server.
func (s *sqlServer) DoGetTables(ctx context.Context, c flightsql.GetTables) (*arrow.Schema, chunks, error) {
	schema := tablesSchema(c)
	if !inCatalog(c.GetCatalog()) || !newLike(c.GetDBSchemaFilterPattern()).match(DBSchema) || !wantsTables(c.GetTableTypes()) {
		return send(schema)
	}
	names := newLike(c.GetTableNameFilterPattern())
	var batches []arrow.RecordBatch
	for page := 1; ; page++ {
		found, err := s.coord.ListTables(ctx, names.glob(), page, tablesPage)
		if err != nil {
			return nil, nil, err
		}
		b, err := s.tables(ctx, schema, names, found.Tables)
		if err != nil {
			return nil, nil, err
		}
		batches = append(batches, b)
		if len(found.Tables) == 0 || page*max(found.Limit, len(found.Tables)) >= found.Total {
			return send(schema, batches...)
		}
	}
}

// tables is one page of tables. One that is dropped meanwhile is left out.
func (s *sqlServer) tables(ctx context.Context, schema *arrow.Schema, names like, tables []meta.Table) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, t := range tables {
		if !names.match(t.Name) {
			continue
		}
		if schema.NumFields() > 4 {
			columns, err := s.coord.ArrowSchema(ctx, t.Name)
			if fault.CodeOf(err) == fault.NotFound && err != nil {
				continue
			}
			if err != nil {
				return nil, err
			}
			described := describedSchema(&t, columns)
			if isJava(ctx) {
				described = javaSchema(described)
			}
			b.Field(4).(*array.BinaryBuilder).Append(serialize(described))
		}
		for i, v := range []string{Catalog, DBSchema, t.Name, tableType} {
			b.Field(i).(*array.StringBuilder).Append(v)
		}
	}
	return b.NewRecordBatch(), nil
}

// inCatalog tells whether a filter lets our catalog pass. The empty name asks
// for what has no catalog, which is nothing.
func inCatalog(filter *string) bool { return filter == nil || strings.EqualFold(*filter, Catalog) }

func wantsTables(types []string) bool {
	if len(types) == 0 {
		return true
	}
	for _, t := range types {
		if strings.EqualFold(t, tableType) || strings.EqualFold(t, "BASE TABLE") {
			return true
		}
	}
	return false
}
