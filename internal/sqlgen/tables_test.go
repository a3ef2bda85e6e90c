package sqlgen_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"skein/internal/sqlgen"
)

func TestTables(t *testing.T) {
	for seed := range uint64(20) {
		types, empty, older := map[string]bool{}, 0, 0
		for _, table := range sqlgen.New(sqlgen.Options{Seed: seed, Rows: 100}).Tables() {
			rows, inParts, noRows := table.Rows(), 0, 0
			if len(rows) == 0 {
				empty++
			}
			for _, p := range table.Parts {
				inParts += len(p.Rows)
				if len(p.Rows) == 0 {
					noRows++
				}
				if len(p.Columns) < len(table.Columns) {
					older++
				}
			}
			if inParts != len(rows) || noRows == 0 {
				t.Errorf("seed %d: table %s has %d rows, its parts %d; %d are empty", seed, table.Name, len(rows), inParts, noRows)
			}
			ids := map[string]bool{}
			for _, r := range rows {
				if len(r) != len(table.Columns) {
					t.Fatalf("seed %d: table %s has %d columns, a row %d", seed, table.Name, len(table.Columns), len(r))
				}
				ids[r[0]] = true
			}
			if len(ids) != len(rows) {
				t.Errorf("seed %d: table %s has %d ids in %d rows", seed, table.Name, len(ids), len(rows))
			}
			for _, c := range table.Columns {
				types[c.Type] = true
			}
		}
		if empty != 1 || len(types) != 22 {
			t.Errorf("seed %d: %d empty tables, types %v", seed, empty, slices.Sorted(maps.Keys(types)))
		}
		if seed == 0 && older == 0 {
			t.Error("no part is of an older schema")
		}
	}
}

func TestWithoutTypes(t *testing.T) {
	without := []string{"HUGEINT", "INTERVAL", "MAP(VARCHAR, INTEGER)", "INTEGER[]", "VARCHAR[]"}
	g := sqlgen.New(sqlgen.Options{Seed: 3, Without: without})
	for _, table := range g.Tables() {
		for _, c := range table.Columns {
			if slices.Contains(without, c.Type) {
				t.Errorf("table %s has column %s %s", table.Name, c.Name, c.Type)
			}
		}
	}
	for i := range 200 {
		if sql := g.Statement(i).SQL; !strings.Contains(sql, "SELECT") {
			t.Errorf("statement %d: %s", i, sql)
		}
	}
}
