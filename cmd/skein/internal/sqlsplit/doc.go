// Package sqlsplit cuts a script of SQL into its statements at the semicolons
// that are outside of quotes, dollar quotes and comments.
//
// It knows DuckDB's lexical rules only. It does not parse statements.
package sqlsplit
