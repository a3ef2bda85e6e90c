// Package corpus holds SELECTs in DuckDB's dialect by theme, in sqllogictest
// form, and the tables that they read.
//
// It owns the texts and the expected values, which DuckDB itself gave. It
// does not run anything.
package corpus
