"""Checks of what tools do through the ADBC driver: metadata, DML, bad input."""

import base64
import concurrent.futures
import threading
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pyarrow as pa

from harness import address, check, connect, credentials, equal, query, refused, table


def rows_of(cur):
    return query(cur, "SELECT * FROM adbc_rows ORDER BY n")


@check
def insert_values(c, cur):
    cur.execute("CREATE TABLE adbc_rows (n BIGINT, s VARCHAR)")
    cur.execute("INSERT INTO adbc_rows VALUES (1, 'a'), (2, NULL)")
    equal(rows_of(cur), [(1, "a"), (2, None)])


@check
def insert_select(c, cur):
    cur.execute("INSERT INTO adbc_rows SELECT range + 3, 'r' || range FROM range(2)")
    equal(rows_of(cur), [(1, "a"), (2, None), (3, "r0"), (4, "r1")])


@check
def insert_with_parameters(c, cur):
    cur.execute("INSERT INTO adbc_rows VALUES (?, ?)", (5, "p"))
    equal(rows_of(cur)[-1], (5, "p"))


@check
def insert_many(c, cur):
    cur.executemany("INSERT INTO adbc_rows VALUES (?, ?)", [(i, f"m{i}") for i in range(6, 206)])
    equal(cur.rowcount, 200)
    equal(query(cur, "SELECT count(*), max(n) FROM adbc_rows"), [(205, 205)])


@check
def insert_many_is_atomic(c, cur):
    refused(flightsql.Error, lambda: cur.executemany("INSERT INTO adbc_rows VALUES (CAST(? AS BIGINT), 'x')", [("1000",), ("no number",)]))
    equal(query(cur, "SELECT count(*) FROM adbc_rows WHERE n = 1000"), [(0,)])


@check
def insert_into_nowhere(c, cur):
    refused(flightsql.Error, lambda: cur.execute("INSERT INTO adbc_nowhere VALUES (1)"), "adbc_nowhere")


@check
def insert_of_wrong_width(c, cur):
    refused(flightsql.ProgrammingError, lambda: cur.execute("INSERT INTO adbc_rows VALUES (1)"))


@check
def create_table_as(c, cur):
    cur.execute("CREATE TABLE adbc_made AS SELECT range AS n, 'x' AS s FROM range(1000)")
    equal(query(cur, "SELECT count(*), sum(n) FROM adbc_made"), [(1000, 499500)])
    refused(flightsql.Error, lambda: cur.execute("CREATE TABLE adbc_made AS SELECT 1 AS n"), "already exists")
    cur.execute("CREATE OR REPLACE TABLE adbc_made AS SELECT 7 AS n")
    equal(query(cur, "SELECT * FROM adbc_made"), [(7,)])


@check
def quoted_and_three_part_names(c, cur):
    cur.execute("DROP TABLE IF EXISTS \"adbc_made\"")
    cur.execute("CREATE TABLE adbc_made (\"Order No\" BIGINT, \"select\" VARCHAR)")
    cur.execute("INSERT INTO adbc_made VALUES (1, 'x')")
    equal(query(cur, 'SELECT "t0"."Order No" AS "Order No" FROM "skein"."main"."adbc_made" "t0" GROUP BY 1'), [(1,)])
    equal(query(cur, 'SELECT "select" FROM "main"."adbc_made"'), [("x",)])


@check
def information_schema(c, cur):
    got = query(cur, "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'adbc_rows' ORDER BY ordinal_position")
    equal(got, [("n", "BIGINT"), ("s", "VARCHAR")])
    equal(query(cur, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND table_name = 'adbc_rows'"), [("adbc_rows",)])
    assert ("main",) in query(cur, "SELECT schema_name FROM information_schema.schemata")


@check
def duckdb_functions(c, cur):
    equal(query(cur, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'adbc_rows'"), [("n",), ("s",)])
    equal(query(cur, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'adbc_rows'"), [(1,)])
    query(cur, "SELECT * FROM duckdb_constraints()")


@check
def pragma_table_info(c, cur):
    names = [r[1] for r in query(cur, "PRAGMA table_info('adbc_rows')")]
    equal(names, ["n", "s"])


@check
def version_and_current(c, cur):
    (version, schema, catalog), = query(cur, "SELECT version(), current_schema(), current_database()")
    assert version, version
    equal((schema, catalog), ("main", "skein"))


@check
def use_and_set(c, cur):
    cur.execute("USE main")
    cur.execute("SET timezone = 'UTC'")
    cur.execute("RESET timezone")
    refused(flightsql.Error, lambda: cur.execute("USE other"))
    refused(flightsql.Error, lambda: cur.execute("SET memory_limit = '1GB'"))


@check
def explain(c, cur):
    assert query(cur, "EXPLAIN SELECT count(*) FROM adbc_rows")
    assert query(cur, "EXPLAIN ANALYZE SELECT count(*) FROM adbc_rows")


@check
def begin_and_commit(c, cur):
    for sql in ("BEGIN", "COMMIT"):
        try:
            cur.execute(sql)
        except flightsql.NotSupportedError:
            pass  # an honest answer, too


@check
def files_are_closed(c, cur):
    for sql in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "ATTACH 'x.db'", "INSTALL httpfs", "COPY adbc_rows TO '/tmp/x'"):
        refused(flightsql.Error, lambda s=sql: cur.execute(s))


@check
def description_names_and_order(c, cur):
    cur.execute("SELECT 1 AS a, 2 AS b, 3 AS a")
    equal([d[0] for d in cur.description], ["a", "b", "a"])
    equal(cur.fetchall(), [(1, 2, 3)])


@check
def fetch_methods(c, cur):
    cur.execute("SELECT range FROM range(10)")
    equal(cur.fetchone(), (0,))
    equal(cur.fetchmany(3), [(1,), (2,), (3,)])
    equal(len(cur.fetchall()), 6)
    equal(cur.fetchone(), None)


@check
def record_batches_are_coalesced(c, cur):
    cur.execute("SELECT range AS n FROM range(1000000)")
    sizes = [b.num_rows for b in cur.fetch_record_batch()]
    equal(sum(sizes), 1_000_000)
    assert len(sizes) < 1_000_000 // 8000 and max(sizes) <= 1 << 17, sizes[:5]


@check
def first_row_before_the_end(c, cur):
    began = time.monotonic()
    cur.execute("SELECT range AS n, range * 2 AS m FROM range(100000000)")
    cur.fetch_record_batch().read_next_batch()
    assert time.monotonic() - began < 2, time.monotonic() - began


@check
def cancel_ends_a_query(c, cur):
    with connect() as other, other.cursor() as mine:
        mine.execute("SELECT a.range AS n FROM range(1000000) a, range(1000000) b")
        timer = threading.Timer(0.2, mine.adbc_cancel)
        timer.start()
        began = time.monotonic()
        try:
            for _ in mine.fetch_record_batch():
                assert time.monotonic() - began < 20, "not cancelled"
            raise AssertionError("the query ended")
        except AssertionError:
            raise
        except Exception as e:
            assert "ancel" in str(e), e
        timer.join()
    equal(query(cur, "SELECT 1"), [(1,)])


@check
def statements_at_once(c, cur):
    """Several cursors of one connection, read in turn."""
    cursors = [c.cursor() for _ in range(5)]
    for i, k in enumerate(cursors):
        k.execute(f"SELECT range + {i} AS n FROM range(100000)")
    for i, k in enumerate(cursors):
        equal(k.fetchone(), (i,))
    for k in cursors:
        k.close()


@check
def threads_share_a_connection(c, cur):
    def one(i):
        with c.cursor() as mine:
            return query(mine, f"SELECT {i} + sum(range) FROM range(1000)")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        equal(list(pool.map(one, range(64))), [[(i + 499500,)] for i in range(64)])


@check
def partitions_can_be_read(c, cur):
    parts, schema = cur.adbc_execute_partitions("SELECT n, s FROM adbc_rows")
    equal(schema.names, ["n", "s"])
    total = 0
    for p in parts:
        with connect() as other, other.cursor() as mine:
            mine.adbc_read_partition(p)
            total += mine.fetch_arrow_table().num_rows
    equal(total, 205)


@check
def forged_partitions_are_refused(c, cur):
    parts, _ = cur.adbc_execute_partitions("SELECT 1")
    for bad in (b"", b"garbage", parts[0][:-5], parts[0].replace(b"SELECT", b"\xff\xff\xff\xff\xff\xff")):
        if bad == parts[0]:
            continue
        refused(Exception, lambda b=bad: read_partition(b))
    equal(query(cur, "SELECT 2"), [(2,)])


def read_partition(p):
    with connect() as other, other.cursor() as mine:
        mine.adbc_read_partition(p)
        return mine.fetch_arrow_table()


@check
def unknown_options_are_refused(c, cur):
    refused(Exception, lambda: connect(**{"adbc.flight.sql.no.such.option": "1"}).close())


@check
def timeout_is_kept(c, cur):
    options = {adbc_driver_flightsql.DatabaseOptions.TIMEOUT_FETCH.value: "0.5"}
    with connect() as other:
        other.adbc_connection.set_options(**options)
        with other.cursor() as mine:

            def slow():
                mine.execute("SELECT count(*) FROM range(100000) a, range(100000) b, range(100) c")
                mine.fetchall()

            began = time.monotonic()
            refused(flightsql.Error, slow)
            assert time.monotonic() - began < 10


@check
def wrong_type_of_parameter(c, cur):
    refused(flightsql.Error, lambda: query(cur, "SELECT CAST(? AS BIGINT) + 1", ("no number",)))


@check
def statements_of_any_size(c, cur):
    many = ", ".join(f"{i} AS c{i}" for i in range(2000))
    equal(len(table(cur, "SELECT " + many).column_names), 2000)
    deep = "SELECT " + "(" * 100 + "1" + ")" * 100
    equal(query(cur, deep), [(1,)])


@check
def two_statements_are_refused(c, cur):
    refused(flightsql.Error, lambda: cur.execute("SELECT 1; SELECT 2"))
    refused(flightsql.Error, lambda: cur.execute(""))
    refused(flightsql.Error, lambda: cur.execute(";"))


@check
def table_functions_of_types(c, cur):
    tree = c.adbc_get_objects(depth="columns", table_name_filter="adbc_rows", column_name_filter="n").read_all().to_pylist()
    (found,) = tree[0]["catalog_db_schemas"][0]["db_schema_tables"]
    equal([x["column_name"] for x in found["table_columns"]], ["n"])


@check
def objects_by_depth(c, cur):
    equal(c.adbc_get_objects(depth="catalogs").read_all().to_pylist()[0]["catalog_name"], "skein")
    (found,) = c.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    equal([s["db_schema_name"] for s in found["catalog_db_schemas"]], ["main"])


@check
def statistics_are_honest(c, cur):
    low = c.adbc_connection
    try:
        handle = low.get_statistics()
    except (AttributeError, adbc_driver_manager.Error):
        return  # not offered
    assert handle is not None


@check
def ingest_options(c, cur):
    """The names of the id's and the time's column are options of the ingest."""
    rows = pa.table({"k": ["a", "b"], "at": pa.array([0, 1], pa.timestamp("us", "UTC")), "n": [1, 2]})
    cur.adbc_statement.set_options(**{"adbc.ingest.target_table": "adbc_made"})
    equal(cur.adbc_ingest("adbc_made", rows, mode="replace"), 2)
    equal(query(cur, "SELECT k, n FROM adbc_made ORDER BY k"), [("a", 1), ("b", 2)])


@check
def ingest_of_nothing(c, cur):
    """A batch without rows. Of a reader without batches the driver sends not even the schema."""
    none = pa.record_batch({"n": pa.array([], pa.int64()), "s": pa.array([], pa.string())})
    equal(cur.adbc_ingest("adbc_empty", none, mode="create"), 0)
    equal(table(cur, "SELECT * FROM adbc_empty").schema.names, ["n", "s"])


@check
def ingest_of_a_wrong_schema(c, cur):
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_empty", pa.table({"n": ["text"]}), mode="append"))
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_empty", pa.table({"other": [1]}), mode="append"))
    equal(query(cur, "SELECT count(*) FROM adbc_empty"), [(0,)])


@check
def ingest_under_a_quoted_name(c, cur):
    equal(cur.adbc_ingest("adbc_load", pa.table({"A b": [1], "ünï": ["x"]}), mode="replace"), 1)
    equal(query(cur, 'SELECT "A b", "ünï" FROM adbc_load'), [(1, "x")])


@check
def basic_credentials_by_header(c, cur):
    """Drivers that make no handshake send the header themselves."""
    if not credentials:
        return
    text = base64.b64encode(f"{credentials['username']}:{credentials['password']}".encode()).decode()
    options = {adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value: "Basic " + text}
    with flightsql.connect(f"grpc://{address}", db_kwargs=options) as other, other.cursor() as mine:
        equal(query(mine, "SELECT 1"), [(1,)])


@check
def grafana_panels(c, cur):
    """The forms that Grafana's macros take, and a bucket of the zoom."""
    cur.execute("CREATE OR REPLACE TABLE adbc_made AS SELECT 'd' || range % 2 AS id, TIMESTAMPTZ '2024-05-01 00:00:00+00' + range * INTERVAL '10 seconds' AS \"timestamp\", range AS value FROM range(60)")
    for bounds in (
        "\"timestamp\" >= '2024-05-01T00:00:00Z' AND \"timestamp\" <= '2024-05-01T00:04:59Z'",
        "\"timestamp\" >= cast('2024-05-01T00:00:00Z' as timestamp) AND \"timestamp\" <= cast('2024-05-01T00:04:59Z' as timestamp)",
    ):
        got = query(cur, f"""SELECT time_bucket(INTERVAL '60000 milliseconds', "timestamp") AS time, id, avg(value) AS value
            FROM adbc_made WHERE {bounds} GROUP BY 1, 2 ORDER BY 1, 2""")
        equal(len(got), 10)
        equal(got[0][1:], ("d0", 2.0))
    with flightsql.connect(f"grpc://{address}", db_kwargs=credentials, autocommit=True) as other:
        with other.adbc_connection as low, adbc_driver_manager.AdbcStatement(low) as s:
            s.set_sql_query('SELECT max("timestamp") AS time FROM adbc_made')  # it does not prepare
            stream, _ = s.execute_query()
            equal(pa.RecordBatchReader._import_from_c(stream.address).read_all().num_rows, 1)
