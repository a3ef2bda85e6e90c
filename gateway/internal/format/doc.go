// Package format streams a query's rows to an HTTP client: as rows of JSON
// with columns and types, NDJSON, CSV or an Arrow stream.
//
// It owns the choice of the format from a request and the frame around the
// rows. How a value looks is internal/render's.
package format
