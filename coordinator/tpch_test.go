//go:build duckdb_arrow

package coordinator_test

import (
	"io"
	"testing"

	"skein/bench/tpch"
)

var tpchTables = []string{
	"CREATE TABLE region (r_regionkey BIGINT, r_name VARCHAR, r_comment VARCHAR)",
	"CREATE TABLE nation (n_nationkey BIGINT, n_name VARCHAR, n_regionkey BIGINT, n_comment VARCHAR)",
	"CREATE TABLE supplier (s_suppkey BIGINT, s_name VARCHAR, s_address VARCHAR, s_nationkey BIGINT, s_phone VARCHAR, s_acctbal DECIMAL(15,2), s_comment VARCHAR)",
	"CREATE TABLE customer (c_custkey BIGINT, c_name VARCHAR, c_address VARCHAR, c_nationkey BIGINT, c_phone VARCHAR, c_acctbal DECIMAL(15,2), c_mktsegment VARCHAR, c_comment VARCHAR)",
	"CREATE TABLE part (p_partkey BIGINT, p_name VARCHAR, p_mfgr VARCHAR, p_brand VARCHAR, p_type VARCHAR, p_size INTEGER, p_container VARCHAR, p_retailprice DECIMAL(15,2), p_comment VARCHAR)",
	"CREATE TABLE partsupp (ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty INTEGER, ps_supplycost DECIMAL(15,2), ps_comment VARCHAR)",
	"CREATE TABLE orders (o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus VARCHAR, o_totalprice DECIMAL(15,2), o_orderdate DATE, o_orderpriority VARCHAR, o_clerk VARCHAR, o_shippriority INTEGER, o_comment VARCHAR)",
	"CREATE TABLE lineitem (l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INTEGER, l_quantity DECIMAL(15,2), l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), l_tax DECIMAL(15,2), l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR, l_shipmode VARCHAR, l_comment VARCHAR)",
}

// TestTPCHIsDivided wants no statement to be run by one worker.
func TestTPCHIsDivided(t *testing.T) {
	c := newCluster(t, 3).nodes[0].Coordinator
	for _, sql := range tpchTables {
		_, err := c.Execute(t.Context(), sql, nil)
		check(t, err)
	}
	for _, q := range tpch.Queries() {
		if s := strategyOf(t, c, q.SQL); s != "divide" {
			t.Errorf("%s: %s", q.Name(), s)
		}
	}
}

// BenchmarkPlan plans each of TPC-H's statements for four workers, as EXPLAIN
// does.
func BenchmarkPlan(b *testing.B) {
	c := newCluster(b, 4).nodes[0].Coordinator
	for _, sql := range tpchTables {
		if _, err := c.Execute(b.Context(), sql, nil); err != nil {
			b.Fatal(err)
		}
	}
	for _, q := range tpch.Queries() {
		b.Run(q.Name(), func(b *testing.B) {
			for b.Loop() {
				r, err := c.Query(b.Context(), "EXPLAIN "+q.SQL, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Next(b.Context()); err != nil && err != io.EOF {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
