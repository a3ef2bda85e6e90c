"""Checks of types through the ADBC driver: what docs/clients/types.md tells,
row by row, and values at the edges."""

import datetime
import decimal
import math
import pathlib
import random
import uuid

import adbc_driver_flightsql.dbapi as flightsql
import duckdb
import pyarrow as pa

from harness import check, equal, query, refused, table

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "clients" / "types.md"


def told(heading):
    """The rows of the table below a heading, without backquotes."""
    text = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [x.strip("| ") for x in text.splitlines() if x.startswith("|")]
    return [[cell.strip().strip("`") for cell in x.split(" | ")] for x in lines[2:]]


def plain(value):
    """A value that can be compared: UUIDs as text."""
    return str(value) if isinstance(value, uuid.UUID) else value


@check
def types_of_sql_are_as_told(c, cur):
    rows = told("From SQL to clients")
    assert len(rows) > 35, len(rows)
    wrong = []
    for name, sql, arrow, *_ in rows:
        statement = f"SELECT v FROM (VALUES (1, {sql}), (2, NULL), (3, {sql})) t(k, v) ORDER BY k"
        try:
            got = table(cur, statement)
        except flightsql.Error as e:
            if arrow != "refused":
                wrong.append(f"{name}: {e}")
            continue
        want = duckdb.sql("SET timezone = 'UTC'") or duckdb.sql(statement).to_arrow_table()
        if str(got.schema.field("v").type) != arrow:
            wrong.append(f"{name}: {got.schema.field('v').type}, told is {arrow}")
        if got["v"].to_pylist() != want["v"].to_pylist():
            wrong.append(f"{name}: {got['v'].to_pylist()}, DuckDB gives {want['v'].to_pylist()}")
    assert not wrong, wrong


@check
def bits_of_sql_are_duckdbs(c, cur):
    """The buffers themselves, of types that have the same Arrow type there."""
    wrong = []
    for name, sql, arrow, *_ in told("From SQL to clients"):
        if arrow == "refused" or name in ("ENUM", "LIST of ENUM", "TIMESTAMPTZ"):
            continue
        statement = f"SELECT v FROM range(40), (VALUES (1, {sql}), (2, NULL), (3, {sql})) t(k, v) ORDER BY range, k"
        got, want = table(cur, statement)["v"].combine_chunks(), duckdb.sql(statement).to_arrow_table()["v"].combine_chunks()
        if isinstance(got, pa.ExtensionArray):
            got, want = got.storage, want.storage
        if not got.equals(want) or got.type != want.type:
            wrong.append(name)
    assert not wrong, wrong


SAMPLES = [
    pa.array([True, None, False]), *[pa.array([1, None, 100], t) for t in (
        pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64())],
    *[pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3")], t) for t in (
        pa.decimal32(5, 2), pa.decimal64(15, 2), pa.decimal128(38, 10), pa.decimal256(76, 10))],
    *[pa.array(["x", None, "", "a text of more than twelve bytes"], t) for t in (pa.string(), pa.large_string(), pa.string_view())],
    *[pa.array([b"x\xff", None, b""], t) for t in (pa.binary(), pa.large_binary(), pa.binary_view())], pa.array([b"abcd", None], pa.binary(4)),
    *[pa.array([datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)], t) for t in (pa.date32(), pa.date64())],
    *[pa.array([datetime.time(1, 2, 3), None], t) for t in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))],
    *[pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3), None], t) for t in (
        pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"),
        pa.timestamp("ms", "America/New_York"))],
    *[pa.array([[1, 2], None, [3, None]], t) for t in (
        pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_view(pa.int32()), pa.list_(pa.int32(), 2))],
    pa.array([[{"a": 1}], None, []], pa.list_(pa.struct([("a", pa.int64())]))),
    pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}], pa.struct([("a", pa.int32()), ("b", pa.string())])),
    pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    pa.array(["a", None, "a"]).dictionary_encode(), pa.array([5, None, 5], pa.int64()).dictionary_encode(),
    pa.array([["a"], None], pa.list_(pa.dictionary(pa.int32(), pa.string()))), pa.nulls(2),
    pa.array([b"0123456789abcdef", None], pa.uuid()), pa.array(['{"a":1}', None], pa.json_()),
    pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0], pa.int8())),
    pa.array([1.5, None], pa.float16()), pa.array([datetime.timedelta(1), None], pa.duration("us")),
    pa.array([pa.MonthDayNano([1, 2, 3]), None], pa.month_day_nano_interval()),
    pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int64()), pa.array(["a", "b"])),
    pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["x"])]),
    pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["x", "y"])]),
]


@check
def types_of_arrow_are_as_told(c, cur):
    rows, seen, wrong = dict(told("From Arrow to tables")), set(), []
    for sample in SAMPLES:
        name = str(sample.type)
        seen.add(name)
        rows_in = pa.table({"k": pa.array(range(len(sample)), pa.int32()), "v": sample})
        try:
            cur.adbc_ingest("adbc_arrow", rows_in, mode="replace")
        except flightsql.Error as e:
            if rows.get(name) != "refused":
                wrong.append(f"{name}: {e}")
            continue
        got = table(cur, "SELECT * FROM adbc_arrow ORDER BY k")["v"].combine_chunks()
        if str(got.type) != rows.get(name):
            wrong.append(f"{name}: {got.type}, told is {rows.get(name)}")
        if got.to_pylist() != [plain(v) for v in sample.to_pylist()]:
            wrong.append(f"{name}: {got.to_pylist()}, sent was {sample.to_pylist()}")
        if str(got.type) == name and not got.equals(sample.cast(got.type)):
            wrong.append(f"{name}: other bits")
    equal(seen, set(rows))
    assert not wrong, wrong


@check
def edges_of_integers(c, cur):
    columns = {}
    for bits in (8, 16, 32, 64):
        columns[f"i{bits}"] = pa.array([-(1 << bits - 1), (1 << bits - 1) - 1, 0, None], getattr(pa, f"int{bits}")())
        columns[f"u{bits}"] = pa.array([0, (1 << bits) - 1, 1, None], getattr(pa, f"uint{bits}")())
    round_trip(cur, pa.table(columns))


@check
def edges_of_floats(c, cur):
    values = [0.0, -0.0, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, None]
    t = pa.table({"d": pa.array(values, pa.float64()), "f": pa.array([0.0, -0.0, math.inf, -math.inf, 1.4e-45, 3.4028234663852886e38, None], pa.float32())})
    round_trip(cur, t)
    cur.adbc_ingest("adbc_arrow", pa.table({"d": [math.nan]}), mode="replace")
    assert math.isnan(query(cur, "SELECT d FROM adbc_arrow")[0][0])


@check
def edges_of_decimals(c, cur):
    columns = {}
    for digits, scale in ((4, 1), (9, 0), (18, 6), (38, 0), (38, 38)):
        most = decimal.Decimal(10**digits - 1).scaleb(-scale, decimal.Context(prec=60))
        columns[f"d{digits}_{scale}"] = pa.array([most, most.copy_negate(), decimal.Decimal(0), None], pa.decimal128(digits, scale))
    round_trip(cur, pa.table(columns))


@check
def edges_of_times(c, cur):
    us = [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), None]
    round_trip(cur, pa.table({
        "ts": pa.array(us, pa.timestamp("us")), "tz": pa.array(us, pa.timestamp("us", "UTC")), "day": pa.array(us, pa.date32()),
        "t": pa.array([datetime.time(0), datetime.time(23, 59, 59, 999999), datetime.time(12), None], pa.time64("us")),
    }))


@check
def edges_of_text(c, cur):
    text = ["", " ", "\n\t\"'\\", "你好 🦆", "e\u0301", "x" * 100_000, "\x01", None]
    round_trip(cur, pa.table({"s": text, "b": pa.array([b"", b"\x00", bytes(range(256)), b"\xff" * 100_000, b"1", b"2", b"3", None], pa.binary())}))


@check
def random_nested_values(c, cur):
    r = random.Random(7)

    def some(make):
        return None if r.random() < 0.2 else make()

    def row():
        return {
            "l": some(lambda: [some(lambda: r.randrange(1 << 40)) for _ in range(r.randrange(4))]),
            "s": some(lambda: {"a": some(lambda: r.random()), "b": some(lambda: [some(lambda: "t" * r.randrange(20)) for _ in range(r.randrange(3))])}),
            "m": some(lambda: [(k, some(lambda: r.randrange(9))) for k in r.sample("abcdef", r.randrange(4))]),
            "ll": some(lambda: [some(lambda: [some(lambda: r.randrange(9)) for _ in range(2)]) for _ in range(r.randrange(3))]),
        }

    schema = pa.schema([
        ("l", pa.list_(pa.int64())), ("s", pa.struct([("a", pa.float64()), ("b", pa.list_(pa.string()))])),
        ("m", pa.map_(pa.string(), pa.int64())), ("ll", pa.list_(pa.list_(pa.int32()))),
    ])
    round_trip(cur, pa.Table.from_pylist([row() for _ in range(5000)], schema))


def round_trip(cur, t):
    """Every bit of t comes back."""
    numbered = t.append_column("row_no", pa.array(range(t.num_rows), pa.int64()))
    equal(cur.adbc_ingest("adbc_arrow", numbered, mode="replace"), t.num_rows)
    got = table(cur, "SELECT * EXCLUDE (row_no) FROM adbc_arrow ORDER BY row_no")
    equal(got.column_names, t.column_names)
    for name in t.column_names:
        sent, back = t[name].combine_chunks(), got[name].combine_chunks()
        assert back.cast(sent.type).equals(sent), f"{name}: sent {sent}, got {back}"
        if pa.types.is_floating(sent.type):  # equal() takes -0 for 0
            equal([str(v) for v in back.to_pylist()], [str(v) for v in sent.to_pylist()])


@check
def parameters_of_every_type(c, cur):
    zone = datetime.timezone.utc
    values = [
        True, 1, -(1 << 63), 1.5, "text", b"\x00\xff", decimal.Decimal("12.340"), datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(2024, 2, 29, 1, 2, 3, 4, zone),
    ]
    for v in values:
        equal(query(cur, "SELECT ? AS v", (v,)), [(v,)])


@check
def parameters_of_nested_types(c, cur):
    """Lists and structs as values: taken, or refused by name."""
    for v in ([1, 2], {"a": 1}):
        try:
            equal(query(cur, "SELECT ? AS v", (v,)), [(v,)])
        except flightsql.Error as e:
            assert "parameter" in str(e) or "type" in str(e), e


@check
def nulls_of_every_type(c, cur):
    rows = [r for r in told("From SQL to clients") if r[2] != "refused" and r[0] != "NULL"]
    sql = ", ".join(f"CASE WHEN false THEN {r[1]} END AS c{i}" for i, r in enumerate(rows))
    got = table(cur, "SELECT " + sql)
    equal([str(f.type) for f in got.schema], [r[2] for r in rows])
    equal(set(got.to_pylist()[0].values()), {None})


@check
def a_wide_mixed_table(c, cur):
    wide = pa.table({f"c{i}": pa.array([i, None, -i], [pa.int64(), pa.float64(), pa.string()][i % 3]) if i % 3 < 2 else [str(i), None, ""] for i in range(500)})
    round_trip(cur, wide)


@check
def schema_is_the_same_before_and_after(c, cur):
    """The schema that a statement promises is that of its rows."""
    for _, sql, arrow, *_ in told("From SQL to clients"):
        if arrow == "refused":
            refused(flightsql.Error, lambda s=sql: cur.adbc_execute_schema(f"SELECT {s} AS v"))
            continue
        equal(str(cur.adbc_execute_schema(f"SELECT {sql} AS v").field(0).type), arrow)
