// Package tpch holds the TPC-H queries and tables, and finds a data set's files.
//
// It owns the texts, with the specification's validation parameters, and how
// generators name Parquet files. It does not run anything.
package tpch
