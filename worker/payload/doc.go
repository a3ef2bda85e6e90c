// Package payload turns the JSON objects of the Write API into typed columns:
// it reads them, tells what columns they need and builds Arrow batches.
//
// A number keeps the text that the client wrote until its column's type is
// known. The package does not know tables, logs or files, and changes no
// schema.
package payload
