//go:build duckdb_arrow

package duck

import bind "github.com/duckdb/duckdb-go-bindings"

// InterruptForTest stops what runs on the connection, as DuckDB does itself
// when one of its threads fails.
func (c *Conn) InterruptForTest() { bind.Interrupt(c.conn) }
