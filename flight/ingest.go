package flight

import (
	"context"
	"maps"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/metadata"

	"skein/coordinator"
	"skein/internal/fault"
)

// StatementIDOption is the header, and the ingest option, by which a client
// names a bulk load: sent again it is not stored again.
const StatementIDOption = "skein-statement-id"

// DoPutCommandStatementIngest implements flightsql.Server: a bulk load, all
// rows or none. Of its options "id" and "time" name the columns of a table
// that is made, StatementIDOption the load itself, the others are properties
// of the table.
func (s *sqlServer) DoPutCommandStatementIngest(ctx context.Context, c flightsql.StatementIngest, rows arrowflight.MessageReader) (int64, error) {
	if id := c.GetTransactionId(); len(id) > 0 {
		if err := s.transactions.check(id); err != nil {
			return 0, err
		}
		return 0, noChanges()
	}
	in, err := ingestOf(c)
	if err != nil {
		return 0, err
	}
	if in.StatementID == "" {
		in.StatementID = firstHeader(ctx, StatementIDOption)
	}
	r, err := newPutReader(rows)
	if err != nil {
		return 0, err
	}
	return s.coord.Ingest(ctx, in, r)
}

func ingestOf(c flightsql.StatementIngest) (in coordinator.Ingest, err error) {
	if c.GetTemporary() {
		return in, fault.New(fault.Unimplemented, "temporary tables are not supported: ingest into a table")
	}
	if c.GetTable() == "" {
		return in, fault.New(fault.InvalidArgument, "no table is named to ingest into")
	}
	if name := c.GetCatalog(); name != "" && name != Catalog {
		return in, fault.Newf(fault.NotFound, "catalog %q not found, there is only %q", name, Catalog)
	}
	if name := c.GetSchema(); name != "" && name != DBSchema {
		return in, fault.Newf(fault.NotFound, "schema %q not found, there is only %q", name, DBSchema)
	}
	in.Table = c.GetTable()
	if in.Mode, err = ingestMode(c.GetTableDefinitionOptions()); err != nil {
		return in, err
	}
	options := maps.Clone(c.GetOptions())
	in.IDColumn, in.TimeColumn, in.StatementID = options["id"], options["time"], options[StatementIDOption]
	for _, name := range []string{"id", "time", StatementIDOption} {
		delete(options, name)
	}
	in.Properties = options
	return in, nil
}

func ingestMode(o *flightsql.TableDefinitionOptions) (coordinator.IngestMode, error) {
	type choice struct {
		missing flightsql.TableDefinitionOptionsTableNotExistOption
		exists  flightsql.TableDefinitionOptionsTableExistsOption
	}
	const (
		create     = flightsql.TableDefinitionOptionsTableNotExistOptionCreate
		failAbsent = flightsql.TableDefinitionOptionsTableNotExistOptionFail
		unsaid     = flightsql.TableDefinitionOptionsTableNotExistOptionUnspecified
		appendTo   = flightsql.TableDefinitionOptionsTableExistsOptionAppend
		replace    = flightsql.TableDefinitionOptionsTableExistsOptionReplace
		failExists = flightsql.TableDefinitionOptionsTableExistsOptionFail
		unsaidToo  = flightsql.TableDefinitionOptionsTableExistsOptionUnspecified
	)
	switch (choice{o.GetIfNotExist(), o.GetIfExists()}) {
	case choice{create, failExists}, choice{create, unsaidToo}:
		return coordinator.IngestCreate, nil
	case choice{failAbsent, appendTo}, choice{unsaid, appendTo}:
		return coordinator.IngestAppend, nil
	case choice{create, appendTo}:
		return coordinator.IngestCreateOrAppend, nil
	case choice{create, replace}, choice{unsaid, replace}:
		return coordinator.IngestReplace, nil
	case choice{failAbsent, replace}:
		return 0, fault.New(fault.Unimplemented, "replacing a table only if it exists is not supported: let it be created, too")
	}
	return 0, fault.New(fault.InvalidArgument, "the table definition options choose no mode: say create, append, replace or create-or-append")
}

func firstHeader(ctx context.Context, name string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get(name) {
		return v
	}
	return ""
}
