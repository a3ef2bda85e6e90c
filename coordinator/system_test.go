//go:build duckdb_arrow

package coordinator_test

import (
	"fmt"
	"strings"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
)

// withCatalog is a node with two tables, of which one has two rows.
func withCatalog(t *testing.T) *coordinator.Coordinator {
	c := newCluster(t, 2).nodes[0].Coordinator
	execute(t, c, `CREATE TABLE trips (host VARCHAR, n INTEGER, d DECIMAL(12,2), l BIGINT[], "o'clock" TIMESTAMPTZ)`, 0)
	execute(t, c, "CREATE TABLE hosts AS SELECT * FROM (VALUES ('trips', 1), ('other', 2)) v(name, k)", 2)
	return c
}

func TestSystemRelations(t *testing.T) {
	c := withCatalog(t)
	for sql, want := range map[string]string{
		"SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables ORDER BY 3":                                                                            "[[skein main hosts BASE TABLE] [skein main trips BASE TABLE]]",
		`SELECT "tables".table_name FROM "skein"."information_schema"."tables" WHERE table_name ILIKE 'TR%'`:                                                                              "[[trips]]",
		"SELECT information_schema.tables.table_name FROM information_schema.tables WHERE skein.information_schema.tables.table_name > 'i'":                                               "[[trips]]",
		"SELECT column_name, ordinal_position, data_type, numeric_precision, numeric_scale, is_nullable FROM information_schema.columns WHERE table_name = 'trips' ORDER BY 2":            "[[host 1 VARCHAR (null) (null) YES] [n 2 INTEGER 32 0 YES] [d 3 DECIMAL(12,2) 12 2 YES] [l 4 BIGINT[] (null) (null) YES] [o'clock 5 TIMESTAMP WITH TIME ZONE (null) (null) YES]]",
		"SELECT t.table_name, count(*) AS n FROM information_schema.tables t JOIN information_schema.columns c USING (table_catalog, table_schema, table_name) GROUP BY ALL HAVING n > 2": "[[trips 5]]",
		"SELECT h.k, c.n FROM hosts h JOIN (SELECT table_name, count(*) AS n FROM duckdb_columns() GROUP BY 1) c ON c.table_name = h.name":                                                "[[1 5]]",
		"SELECT catalog_name, schema_name FROM information_schema.schemata":                                                                                                               "[[skein main]]",
		"SELECT database_name, type, readonly FROM duckdb_databases()":                                                                                                                    "[[skein duckdb false]]",
		"SELECT schema_name FROM duckdb_schemas() WHERE NOT internal":                                                                                                                     "[[main]]",
		"SELECT table_name, column_count, sql FROM duckdb_tables WHERE table_name = 'hosts'":                                                                                              `[[hosts 2 CREATE TABLE "hosts"("name" VARCHAR, "k" INTEGER);]]`,
		"SELECT c.relname, a.attname FROM pg_catalog.pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname = 'hosts' ORDER BY a.attnum":                                    "[[hosts name] [hosts k]]",
		"SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 2":                                   "[[main hosts r] [main trips r]]",
		"SELECT datname FROM pg_database":                                                        "[[skein]]",
		"SELECT tablename FROM pg_tables WHERE schemaname = 'main' ORDER BY ALL":                 "[[hosts] [trips]]",
		"SELECT t.typname FROM pg_type t WHERE t.typname = 'varchar' LIMIT 1":                    "[[varchar]]",
		"SELECT type, name FROM sqlite_master ORDER BY name":                                     "[[table hosts] [table trips]]",
		"SELECT count(*) FROM duckdb_constraints()":                                              "[[0]]",
		"SELECT count(*) FROM information_schema.table_constraints":                              "[[0]]",
		"SELECT count(*) > 100 FROM duckdb_functions()":                                          "[[true]]",
		"SELECT (SELECT count(*) FROM duckdb_views()) + (SELECT count(*) FROM duckdb_indexes())": "[[0]]",
		"WITH pg_class AS (SELECT 1 AS x) SELECT x FROM pg_class":                                "[[1]]",
		"SELECT current_database(), current_schema(), current_catalog":                           "[[skein main skein]]",
		"SELECT current_setting('TimeZone')":                                                     "[[UTC]]",
		"SELECT value FROM duckdb_settings() WHERE name = 'timezone'":                            "[[UTC]]",
		"SELECT version() LIKE 'v%'":                                                             "[[true]]",
		"SHOW TABLES FROM skein.main":                                                            "[[hosts] [trips]]",
		"SHOW ALL TABLES":                                                                        `[[skein main hosts ["name","k"] ["VARCHAR","INTEGER"] false] [skein main trips ["host","n","d","l","o'clock"] ["VARCHAR","INTEGER","DECIMAL(12,2)","BIGINT[]","TIMESTAMP WITH TIME ZONE"] false]]`,
		"SHOW DATABASES":                                                                         "[[skein]]",
		"SHOW SCHEMAS":                                                                           "[[skein main true]]",
		"SHOW timezone;":                                                                         "[[UTC]]",
		"PRAGMA show_tables":                                                                     "[[hosts] [trips]]",
		"PRAGMA table_info('hosts')":                                                             "[[0 name VARCHAR false (null) false] [1 k INTEGER false (null) false]]",
		"PRAGMA table_info(skein.main.hosts);":                                                   "[[0 name VARCHAR false (null) false] [1 k INTEGER false (null) false]]",
		"SELECT name FROM pragma_table_info('hosts')":                                            "[[name] [k]]",
		"PRAGMA database_list":                                                                   "[[1 skein (null)]]",
		"SELECT column_name FROM (DESCRIBE information_schema.schemata) LIMIT 2":                 "[[catalog_name] [schema_name]]",
		`SELECT "skein"."main"."hosts"."k" FROM "skein"."main"."hosts" WHERE "hosts"."name" = 'other'`: "[[2]]",
		"SELECT information_schema.a.b FROM (SELECT {'a': {'b': 7}} AS information_schema) x":          "[[7]]",
		"SELECT 'information_schema.tables' AS x":                                                      "[[information_schema.tables]]",
	} {
		got, err := rows(t, c, sql, nil)
		if err != nil || sprint(got) != want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", sql, sprint(got), err, want)
		}
		st, err := c.Prepare(t.Context(), sql)
		if err != nil || !st.ReturnsRows() {
			t.Errorf("%s: prepared: %v", sql, err)
		}
	}
	for sql, want := range map[string]int{
		"DESCRIBE information_schema.schemata": 7, "DESCRIBE TABLE information_schema.schemata": 7, "SHOW information_schema.schemata": 7,
		"SUMMARIZE information_schema.schemata": 7, "TABLE information_schema.schemata": 1, "FROM information_schema.schemata": 1,
	} {
		if got, err := rows(t, c, sql, nil); err != nil || len(got) != want {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
	if _, err := c.Prepare(t.Context(), "SELECT nothing(1)"); err == nil || strings.Count(err.Error(), "(line 1") != 1 {
		t.Errorf("a place that is told twice: %v", err)
	}
	st, err := c.Prepare(t.Context(), "SELECT current_database(), current_setting('timezone') FROM information_schema.tables WHERE table_name = ?")
	check(t, err)
	if s := st.Schema; s.Field(0).Name != "current_database()" || s.Field(1).Name != "current_setting('timezone')" || st.Params.NumFields() != 1 {
		t.Errorf("prepared: %v", st)
	}
}

func TestSystemMistakes(t *testing.T) {
	c := withCatalog(t)
	for sql, want := range map[string]struct {
		code fault.Code
		text string
	}{
		"SELECT nme FROM information_schema.tables":     {fault.InvalidArgument, "nme"},
		"SELECT * FROM information_schema.nothing":      {fault.NotFound, "information_schema"},
		"SELECT * FROM other.information_schema.tables": {fault.NotFound, "other"},
		"SELECT * FROM duckdb_secrets(1)":               {fault.InvalidArgument, "duckdb_secrets"},
		"SELECT * FROM duckdb_logs()":                   {fault.InvalidArgument, "duckdb_logs"},
		"SELECT * FROM duckdb_extensions()":             {fault.InvalidArgument, "duckdb_extensions"},
		"SELECT current_setting('secret_directory')":    {fault.InvalidArgument, "current_setting"},
		"SELECT * FROM pragma_storage_info('hosts')":    {fault.InvalidArgument, "pragma_storage_info"},
		"SELECT * FROM pragma_table_info('nowhere')":    {fault.NotFound, "nowhere"},
		"PRAGMA table_info('nowhere')":                  {fault.NotFound, "nowhere"},
		"PRAGMA memory_limit = '1GB'":                   {fault.InvalidArgument, "flags"},
		"PRAGMA show_tables; DROP TABLE hosts":          {fault.InvalidArgument, ""},
		"SHOW TABLES FROM other":                        {fault.NotFound, "skein.main"},
		"SHOW nothing":                                  {fault.NotFound, "nothing"},
		"FROM information_schema.tables SELEC x":        {fault.InvalidArgument, "syntax error"},
	} {
		_, err := rows(t, c, sql, nil)
		if err == nil || fault.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "from_json") {
			t.Errorf("%s: got %v: %v; want %v: …%s…", sql, fault.CodeOf(err), err, want.code, want.text)
		}
	}
}

func TestSettings(t *testing.T) {
	c := withCatalog(t)
	for _, sql := range []string{
		"SET TimeZone = 'UTC'", "SET TIME ZONE 'utc'", "set session timezone to 'Etc/UTC';", "RESET timezone", "SET schema = 'main'", "SET SCHEMA 'main'",
		"SET search_path TO main", "SET application_name = 'a tool'", "SET extra_float_digits = 3", "SET enable_progress_bar = true", "SET default_null_order = 'nulls_last'",
		"SET timezone TO DEFAULT", "USE skein", "USE main", `USE "skein"."main";`, "PRAGMA enable_progress_bar", "SET client_encoding TO 'UTF8'",
	} {
		execute(t, c, sql, 0)
		if st, err := c.Prepare(t.Context(), sql); err != nil || st.ReturnsRows() {
			t.Errorf("%s: prepared: %v", sql, err)
		}
	}
	for sql, code := range map[string]fault.Code{
		"SET TimeZone = 'Europe/Berlin'": fault.Unimplemented, "SET default_null_order = 'nulls_first'": fault.Unimplemented, "SET threads = 4": fault.InvalidArgument,
		"RESET memory_limit": fault.InvalidArgument, "SET VARIABLE x = 1": fault.Unimplemented, "SET schema = 'other'": fault.NotFound, "USE other": fault.NotFound,
		"USE skein.other": fault.NotFound, "SET": fault.InvalidArgument, "USE skein; DROP TABLE hosts": fault.InvalidArgument,
		"BEGIN": fault.Unimplemented, "COMMIT": fault.Unimplemented, "ROLLBACK TO SAVEPOINT x": fault.Unimplemented,
	} {
		if _, err := c.Execute(t.Context(), sql, nil); err == nil || fault.CodeOf(err) != code {
			t.Errorf("%s: %v: %v; want %v", sql, fault.CodeOf(err), err, code)
		}
	}
}

// The values that are told are those that statements run with.
func TestSettingsAreTheEngines(t *testing.T) {
	cl := newCluster(t, 1)
	c := cl.nodes[0].Coordinator
	conn, err := cl.db.Conn(t.Context())
	check(t, err)
	defer conn.Close()
	told, err := rows(t, c, "SELECT name, value FROM duckdb_settings()", nil)
	check(t, err)
	compared := 0
	for _, s := range told {
		real, err := conn.Strings(t.Context(), fmt.Sprintf("SELECT coalesce(value, '') FROM duckdb_settings() WHERE lower(name) = '%s' AND name NOT IN ('schema', 'search_path', 'TimeZone', 'access_mode', 'enable_progress_bar', 'enable_progress_bar_print', 'progress_bar_time', 'enable_object_cache')", s[0]))
		check(t, err)
		if len(real) == 1 && !strings.EqualFold(real[0][0], s[1]) {
			t.Errorf("%s is %q, told as %q", s[0], real[0][0], s[1])
		}
		compared += len(real)
	}
	if compared < 6 {
		t.Errorf("only %d settings were compared", compared)
	}
}
