package flight

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
)

// Tables have no keys, which clients are told by empty results.

// GetFlightInfoPrimaryKeys implements flightsql.Server.
func (s *sqlServer) GetFlightInfoPrimaryKeys(_ context.Context, _ flightsql.TableRef, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.PrimaryKeys, d.Cmd), nil
}

// DoGetPrimaryKeys implements flightsql.Server.
func (s *sqlServer) DoGetPrimaryKeys(context.Context, flightsql.TableRef) (*arrow.Schema, chunks, error) {
	return send(schema_ref.PrimaryKeys)
}

// GetFlightInfoExportedKeys implements flightsql.Server.
func (s *sqlServer) GetFlightInfoExportedKeys(_ context.Context, _ flightsql.TableRef, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.ExportedKeys, d.Cmd), nil
}

// DoGetExportedKeys implements flightsql.Server.
func (s *sqlServer) DoGetExportedKeys(context.Context, flightsql.TableRef) (*arrow.Schema, chunks, error) {
	return send(schema_ref.ExportedKeys)
}

// GetFlightInfoImportedKeys implements flightsql.Server.
func (s *sqlServer) GetFlightInfoImportedKeys(_ context.Context, _ flightsql.TableRef, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.ImportedKeys, d.Cmd), nil
}

// DoGetImportedKeys implements flightsql.Server.
func (s *sqlServer) DoGetImportedKeys(context.Context, flightsql.TableRef) (*arrow.Schema, chunks, error) {
	return send(schema_ref.ImportedKeys)
}

// GetFlightInfoCrossReference implements flightsql.Server.
func (s *sqlServer) GetFlightInfoCrossReference(_ context.Context, _ flightsql.CrossTableRef, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.CrossReference, d.Cmd), nil
}

// DoGetCrossReference implements flightsql.Server.
func (s *sqlServer) DoGetCrossReference(context.Context, flightsql.CrossTableRef) (*arrow.Schema, chunks, error) {
	return send(schema_ref.CrossReference)
}
