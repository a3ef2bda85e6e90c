"""Checks a running server with the Flight SQL ADBC driver.

    python check_adbc.py HOST:PORT [USER PASSWORD]

It makes and drops tables of its own, whose names begin with "adbc_". It prints
one line for each check and ends with 1 if any failed. It needs the packages
adbc-driver-flightsql, adbc-driver-manager, pyarrow and duckdb, which tells
what is right.
"""

import concurrent.futures
import datetime
import decimal
import sys

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pyarrow as pa

from harness import address, check, checks, connect, credentials, drop, equal, exported, query, refused

ROWS = pa.table({"id": ["a", "b", "c"], "n": pa.array([1, 2, None], pa.int64()), "x": [0.5, 1.5, 2.5]})


@check
def select(c, cur):
    equal(query(cur, "SELECT 1 AS one"), [(1,)])
    equal([d[0] for d in cur.description], ["one"])


@check
def trailing_semicolon(c, cur):
    equal(query(cur, "SELECT 1;"), [(1,)])
    equal(query(cur, "SELECT 1 ;\n"), [(1,)])


@check
def plain_statement(c, cur):
    """Without prepare: that is how executes reach GetFlightInfo of the text."""
    with flightsql.connect(f"grpc://{address}", db_kwargs=credentials, autocommit=True) as other:
        with other.adbc_connection as low, adbc_driver_manager.AdbcStatement(low) as s:
            s.set_sql_query("SELECT 7 AS seven")
            stream, _ = s.execute_query()
            equal(pa.RecordBatchReader._import_from_c(stream.address).read_all().to_pylist(), [{"seven": 7}])


@check
def plain_update(c, cur):
    with flightsql.connect(f"grpc://{address}", db_kwargs=credentials, autocommit=True) as other:
        with other.adbc_connection as low, adbc_driver_manager.AdbcStatement(low) as s:
            s.set_sql_query("CREATE TABLE adbc_a (id VARCHAR, n BIGINT)")
            s.execute_query()
    assert ("adbc_a",) in query(cur, "SHOW TABLES")


@check
def create_table(c, cur):
    cur.execute("CREATE TABLE adbc_ab (id VARCHAR, price DECIMAL(12,2), ts TIMESTAMP WITH TIME ZONE, tags VARCHAR[])")
    equal(cur.fetchall(), [])
    cur.execute("CREATE TABLE adbcxa (id VARCHAR)")
    text = refused(flightsql.Error, lambda: cur.execute("CREATE TABLE adbcxa (id VARCHAR)"))
    assert "already exists" in text, text


@check
def show_and_describe(c, cur):
    names = [r[0] for r in query(cur, "SHOW TABLES")]
    assert {"adbc_a", "adbc_ab", "adbcxa"} <= set(names), names
    equal([r[0] for r in query(cur, "DESCRIBE adbc_ab")], ["id", "price", "ts", "tags"])


@check
def empty_result_has_columns(c, cur):
    cur.execute("SELECT * FROM adbc_ab")
    t = cur.fetch_arrow_table()
    equal(t.column_names, ["id", "price", "ts", "tags"])
    equal(t.num_rows, 0)
    equal(t.schema.field("price").type, pa.decimal128(12, 2))
    equal(t.schema.field("ts").type, pa.timestamp("us", "UTC"))


@check
def bad_sql(c, cur):
    text = refused(flightsql.ProgrammingError, lambda: cur.execute("SELEC 1"))
    assert "line 1" in text, text
    assert "INVALID_ARGUMENT" in text, text
    text = refused(flightsql.Error, lambda: cur.execute("SELECT * FROM adbc_nowhere"))
    assert "adbc_nowhere" in text, text
    equal(query(cur, "SELECT 2"), [(2,)])


@check
def too_long_sql(c, cur):
    refused(flightsql.ProgrammingError, lambda: cur.execute("SELECT '" + "x" * (1 << 20) + "'"))


@check
def parameters(c, cur):
    equal(query(cur, "SELECT ? + 1 AS x", (41,)), [(42,)])
    equal(query(cur, "SELECT ? AS x", ("it's 你好",)), [("it's 你好",)])
    equal(query(cur, "SELECT CAST(? AS BIGINT) IS NULL AS x", (None,)), [(True,)])
    equal(query(cur, "SELECT ? AS a, ? AS b", (1.5, True)), [(1.5, True)])
    equal(query(cur, "SELECT ? AS d", (datetime.date(2024, 2, 29),)), [(datetime.date(2024, 2, 29),)])
    when = datetime.datetime(2024, 2, 29, 1, 2, 3, 456789)
    equal(query(cur, "SELECT ? AS t", (when,)), [(when,)])
    equal(query(cur, "SELECT ? AS p", (decimal.Decimal("12.34"),)), [(decimal.Decimal("12.34"),)])


@check
def parameter_rows(c, cur):
    """A query with several rows of parameters runs once for each."""
    rows = pa.record_batch({"1": pa.array([2, 0, 3], pa.int64())})
    cur.adbc_prepare("SELECT range AS n FROM range(CAST(? AS BIGINT))")
    stmt = cur.adbc_statement
    stmt.bind(*exported(rows))
    stream, _ = stmt.execute_query()
    got = pa.RecordBatchReader._import_from_c(stream.address).read_all()["n"].to_pylist()
    equal(got, [0, 1, 0, 1, 2])


@check
def wrong_parameters(c, cur):
    refused(flightsql.Error, lambda: cur.execute("SELECT CAST(? AS BIGINT)", (1, 2)))
    refused(flightsql.Error, lambda: cur.execute("SELECT CAST(? AS BIGINT)"))


@check
def schema_of_statement(c, cur):
    equal(cur.adbc_execute_schema("SELECT 1 AS a, 'x' AS b").names, ["a", "b"])


@check
def prepared_schema(c, cur):
    params = cur.adbc_prepare("SELECT CAST(? AS BIGINT) AS a")
    equal([f.type for f in params], [pa.int64()])


@check
def large_result(c, cur):
    cur.execute("SELECT range AS n, range * 2 AS m, 'row ' || range AS s FROM range(1000000)")
    reader, rows, last = cur.fetch_record_batch(), 0, -1
    for b in reader:
        rows += b.num_rows
        assert b.nbytes < 16 << 20
        last = max(last, b["n"][b.num_rows - 1].as_py())
    equal((rows, last), (1000000, 999999))


@check
def large_rows(c, cur):
    """Batches whose rows are large are split below the driver's 16 MiB."""
    cur.execute("SELECT repeat('x', 1000000) || range AS s FROM range(60)")
    t = cur.fetch_arrow_table()
    equal(t.num_rows, 60)
    equal({len(s) for s in t["s"].to_pylist()}, {1000001, 1000002})


@check
def left_half_read(c, cur):
    for _ in range(5):
        with connect() as other, other.cursor() as half:
            half.execute("SELECT range AS n FROM range(100000000)")
            half.fetchone()


@check
def types(c, cur):
    cur.execute("""SELECT 1::TINYINT a, 2::SMALLINT b, 3::INTEGER c, 4::BIGINT d, 5::UTINYINT e, 6::UBIGINT f, 1.5::FLOAT g,
        2.5::DOUBLE h, 12.34::DECIMAL(12,2) i, true j, 'x' k, DATE '2024-02-29' l, TIMESTAMP '2024-02-29 01:02:03.5' m,
        TIMESTAMPTZ '2024-02-29 01:02:03+00' n, [1, 2] o, {'a': 1} p, 'ab'::BLOB q, 'b'::ENUM('a','b') r, NULL::INTEGER s""")
    t = cur.fetch_arrow_table()
    want = {
        "a": pa.int8(), "b": pa.int16(), "c": pa.int32(), "d": pa.int64(), "e": pa.uint8(), "f": pa.uint64(), "g": pa.float32(),
        "h": pa.float64(), "i": pa.decimal128(12, 2), "j": pa.bool_(), "k": pa.string(), "l": pa.date32(), "m": pa.timestamp("us"),
        "n": pa.timestamp("us", "UTC"), "q": pa.binary(), "r": pa.string(), "s": pa.int32(),
    }
    equal({k: t.schema.field(k).type for k in want}, want)
    row = t.to_pylist()[0]
    equal((row["i"], row["o"], row["p"], row["q"], row["r"], row["s"]), (decimal.Decimal("12.34"), [1, 2], {"a": 1}, b"ab", "b", None))


@check
def info(c, cur):
    got = c.adbc_get_info()
    equal(got["vendor_name"], "Skein")
    assert got["vendor_version"] and got["vendor_arrow_version"], got


@check
def table_types(c, cur):
    equal(c.adbc_get_table_types(), ["TABLE"])


@check
def objects(c, cur):
    tree = c.adbc_get_objects(depth="all", table_name_filter="adbc_ab").read_all().to_pylist()
    equal([x["catalog_name"] for x in tree], ["skein"])
    schema = tree[0]["catalog_db_schemas"][0]
    equal(schema["db_schema_name"], "main")
    table = schema["db_schema_tables"][0]
    equal((table["table_name"], table["table_type"]), ("adbc_ab", "TABLE"))
    columns = [(x["column_name"], x["ordinal_position"], x["xdbc_type_name"]) for x in table["table_columns"]]
    equal(columns, [("id", 1, "VARCHAR"), ("price", 2, "DECIMAL(12,2)"), ("ts", 3, "TIMESTAMP WITH TIME ZONE"), ("tags", 4, "VARCHAR[]")])


@check
def objects_by_pattern(c, cur):
    def names(**filters):
        tree = c.adbc_get_objects(depth="tables", **filters).read_all().to_pylist()
        return sorted(t["table_name"] for x in tree for s in x["catalog_db_schemas"] for t in s["db_schema_tables"])

    equal(names(table_name_filter="adbc_a"), ["adbc_a", "adbcxa"])
    equal(names(table_name_filter="adbc\\_a%"), ["adbc_a", "adbc_ab"])
    assert "adbc_a" in names(table_types_filter=["TABLE"])
    assert "adbc_a" in names(table_types_filter=["BASE TABLE"])
    equal(names(table_types_filter=["VIEW"]), [])
    equal(names(catalog_filter="other"), [])


@check
def table_schema(c, cur):
    s = c.adbc_get_table_schema("adbc_ab")
    equal(s.names, ["id", "price", "ts", "tags"])
    refused(flightsql.Error, lambda: c.adbc_get_table_schema("adbc_nowhere"))


@check
def session(c, cur):
    equal((c.adbc_current_catalog, c.adbc_current_db_schema), ("skein", "main"))
    c.adbc_current_catalog = "skein"
    c.adbc_current_db_schema = "main"

    def other():
        c.adbc_current_catalog = "other"

    refused(flightsql.Error, other)


@check
def commit_and_rollback(c, cur):
    """Autocommit stays on: DBAPI warns at connect, and commit does no harm."""
    c.commit()
    equal(query(cur, "SELECT 1"), [(1,)])


@check
def ingest_modes(c, cur):
    def count():
        return query(cur, "SELECT count(*) FROM adbc_load")[0][0]

    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_load", ROWS, mode="append"))
    equal(cur.adbc_ingest("adbc_load", ROWS, mode="create"), 3)
    equal(count(), 3)
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_load", ROWS, mode="create"))
    equal(cur.adbc_ingest("adbc_load", ROWS, mode="append"), 3)
    equal(cur.adbc_ingest("adbc_load", ROWS, mode="create_append"), 3)
    equal(count(), 9)
    equal(cur.adbc_ingest("adbc_load", ROWS, mode="replace"), 3)
    equal(count(), 3)
    equal(query(cur, "SELECT id, n, x FROM adbc_load ORDER BY id"), [("a", 1, 0.5), ("b", 2, 1.5), ("c", None, 2.5)])


@check
def ingest_of_a_named_load(c, cur):
    for name in ("monday", "monday", "tuesday"):
        with c.cursor() as own:
            own.adbc_statement.set_options(**{"adbc.flight.sql.rpc.call_header.skein-statement-id": name})
            equal(own.adbc_ingest("adbc_named", ROWS, mode="create_append"), 3)
    cur.execute("SELECT count(*) FROM adbc_named")
    equal(cur.fetchall(), [(6,)])
    cur.execute("DROP TABLE adbc_named")


@check
def ingest_many_batches(c, cur):
    batches = [pa.record_batch({"id": [f"r{i}"] * 1000, "n": pa.array(range(i * 1000, i * 1000 + 1000), pa.int64())}) for i in range(50)]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    equal(cur.adbc_ingest("adbc_load", reader, mode="replace"), 50000)
    equal(query(cur, "SELECT count(*), sum(n) FROM adbc_load"), [(50000, 50000 * 49999 // 2)])


@check
def ingest_a_large_batch(c, cur):
    """One message of more than gRPC's default 4 MiB."""
    big = pa.table({"n": pa.array(range(2_000_000), pa.int64())})
    equal(cur.adbc_ingest("adbc_load", big, mode="replace"), 2_000_000)
    equal(query(cur, "SELECT count(*), max(n) FROM adbc_load"), [(2_000_000, 1_999_999)])


@check
def ingest_types(c, cur):
    t = pa.table({
        "i": pa.array([1, None], pa.int32()), "d": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(12, 2)),
        "s": ["x", None], "b": pa.array([True, None]), "day": pa.array([datetime.date(2024, 2, 29), None]),
        "ts": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None], pa.timestamp("us", "UTC")),
        "l": pa.array([[1, 2], None], pa.list_(pa.int64())),
    })
    equal(cur.adbc_ingest("adbc_types", t, mode="replace"), 2)
    cur.execute("SELECT * FROM adbc_types ORDER BY i")
    equal(cur.fetch_arrow_table().to_pylist(), t.to_pylist())


@check
def ingest_elsewhere(c, cur):
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_load", ROWS, mode="append", catalog_name="other"))
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_load", ROWS, mode="append", db_schema_name="other"))
    refused(flightsql.Error, lambda: cur.adbc_ingest("adbc_load", ROWS, mode="create", temporary=True))


@check
def cut_ingest_leaves_nothing(c, cur):
    def broken():
        yield ROWS.to_batches()[0]
        raise ValueError("the source is gone")

    cur.adbc_ingest("adbc_load", ROWS, mode="replace")
    reader = pa.RecordBatchReader.from_batches(ROWS.schema, broken())
    refused(Exception, lambda: cur.adbc_ingest("adbc_load", reader, mode="append"))
    equal(query(cur, "SELECT count(*) FROM adbc_load"), [(3,)])


@check
def many_connections(c, cur):
    def one(i):
        with connect() as other, other.cursor() as mine:
            return query(mine, f"SELECT {i}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        equal(list(pool.map(one, range(40))), [[(i,)] for i in range(40)])


@check
def credentials_work_or_fail_at_connect(c, cur):
    if credentials:
        refused(flightsql.Error, lambda: flightsql.connect(f"grpc://{address}", db_kwargs={"username": "nobody", "password": "wrong"}))
    else:  # an open server takes any
        with flightsql.connect(f"grpc://{address}", db_kwargs={"username": "ann", "password": "secret"}) as other, other.cursor() as mine:
            equal(query(mine, "SELECT 1"), [(1,)])


@check
def drop_table(c, cur):
    cur.execute("DROP TABLE adbcxa")
    refused(flightsql.Error, lambda: cur.execute("DROP TABLE adbcxa"))


import check_adbc_tools  # noqa: E402,F401 - adds its checks
import check_adbc_types  # noqa: E402,F401


def main():
    results = {"ok": 0, "FAIL": 0}
    with connect() as c:
        with c.cursor() as cur:
            drop(cur)
        for f in checks:
            try:
                with c.cursor() as cur:
                    f(c, cur)
                results["ok"] += 1
                print("ok   ", f.__name__)
            except Exception as e:
                results["FAIL"] += 1
                print("FAIL ", f"{f.__name__}: {type(e).__name__}: {e}")
        with c.cursor() as cur:
            drop(cur)
    print(results["ok"], "passed,", results["FAIL"], "failed")
    sys.exit(1 if results["FAIL"] else 0)


if __name__ == "__main__":
    main()
