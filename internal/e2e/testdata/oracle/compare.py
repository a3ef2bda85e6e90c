"""Runs the corpus on a server and on a plain DuckDB over the same rows, and
compares names, types and values."""

import argparse
import io
import json
import math
import pathlib
import re
import sys
import tempfile

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa

from data import Sides

FAILURES_SHOWN = 40


class Case:
    """A statement of the corpus. Comment lines before it say:

    -- ordered       the rows come in this order, not in any
    -- scan          on a cluster every worker takes part
    -- duckdb: SQL   what DuckDB is asked, where leaving out "payload." is not enough
    """

    def __init__(self, lines):
        notes = [line[2:].strip() for line in lines if line.startswith("--")]
        self.sql = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        self.ordered = "ordered" in notes
        self.scan = "scan" in notes
        own = [n.removeprefix("duckdb:").strip() for n in notes if n.startswith("duckdb:")]
        self.duckdb = own[0] if own else re.sub(r"\bpayload\.", "", self.sql)


def corpus(path):
    lines, cases = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            lines.append(line)
        if line.rstrip().endswith(";"):
            cases.append(Case(lines))
            lines = []
    assert not lines, f"{path}: the last statement has no semicolon"
    return cases


def plain_type(t):
    """The type with the differences taken out that no reader can see."""
    if pa.types.is_dictionary(t):
        return plain_type(t.value_type)
    if pa.types.is_large_string(t) or pa.types.is_string_view(t):
        return pa.string()
    if pa.types.is_large_binary(t) or pa.types.is_binary_view(t):
        return pa.binary()
    if pa.types.is_timestamp(t) and t.tz in ("Etc/UTC", "UTC"):
        return pa.timestamp(t.unit, tz="UTC")
    if pa.types.is_map(t):
        return pa.map_(plain_type(t.key_type), plain_type(t.item_type))
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return pa.list_(pa.field("item", plain_type(t.value_type)))
    if pa.types.is_struct(t):
        return pa.struct([pa.field(f.name, plain_type(f.type)) for f in t])
    return t


def rows_of(table):
    """Rows as lists of values; timestamps as numbers, which lose nothing."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns.append(column.to_pylist())
    return [list(r) for r in zip(*columns)]


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or math.isnan(a) and math.isnan(b) or math.isclose(a, b, rel_tol=1e-12)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


def difference(got, want, ordered):
    """What differs, or None."""
    got_schema = [(f.name, plain_type(f.type)) for f in got.schema]
    want_schema = [(f.name, plain_type(f.type)) for f in want.schema]
    if got_schema != want_schema:
        return f"columns {got_schema}\n   want {want_schema}"
    got_rows, want_rows = rows_of(got), rows_of(want)
    if len(got_rows) != len(want_rows):
        return f"{len(got_rows)} rows, want {len(want_rows)}"
    if not ordered:
        got_rows, want_rows = sorted(got_rows, key=repr), sorted(want_rows, key=repr)
    for i, (g, w) in enumerate(zip(got_rows, want_rows)):
        if not same(g, w):
            return f"row {i}: {g}\n  want {w}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", required=True)
    parser.add_argument("--grpc", required=True)
    parser.add_argument("--skein", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        sides = Sides(args.http.split(","), args.grpc.split(","), args.skein, directory)
        sides.fill()
        partly_flushed(sides)
        cases = corpus(pathlib.Path(__file__).with_name("corpus.sql"))
        connections = [flightsql.connect(f"grpc://{a}", autocommit=True) for a in sides.grpc]
        failures = []
        for i, case in enumerate(cases):
            failures += check(sides, connections[i % len(connections)], i, case)
        for c in connections:
            c.close()
    print(f"{len(cases)} statements, {sum(c.scan for c in cases)} of them scans, {len(failures)} failures")
    for f in failures[:FAILURES_SHOWN]:
        print(f)
    sys.exit(1 if failures else 0)


def check(sides, connection, i, case):
    try:
        want = sides.duckdb.execute(case.duckdb).to_arrow_table()
    except Exception as e:
        return [f"\n{case.duckdb}\n-> DuckDB itself: {e}"]
    failures = []
    for door, run in (("Flight SQL", by_flight), ("REST", by_rest)):
        try:
            found = difference(run(sides, connection, i, case.sql), want, case.ordered)
        except (Exception, SystemExit) as e:
            found = f"{type(e).__name__}: {e}"
        if found:
            failures.append(f"\n{case.sql}\n-> by {door}: {found}")
    if case.scan and len(sides.grpc) > 1:
        plan = "\n".join(r["plan"] for r in json.loads(sides.call("/v1/query", {"sql": "EXPLAIN " + case.sql}, i)["result_json"]))
        if not plan.startswith(f"scan  {len(sides.grpc)} fragments"):
            failures.append(f"\n{case.sql}\n-> is not run by all workers:\n{plan}")
    return failures


def by_flight(_, connection, __, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def by_rest(sides, _, i, sql):
    data = sides.post("/v1/query?format=arrow", json.dumps({"sql": sql}).encode(), "application/json", i)
    return pa.ipc.open_stream(io.BytesIO(data)).read_all()


def partly_flushed(sides):
    """The rows must be in files and in buffers, or the test tests nothing."""
    plan = "\n".join(r["plan"] for r in json.loads(sides.call("/v1/query", {"sql": "EXPLAIN SELECT n FROM events"})["result_json"]))
    sources = int(re.search(r"events  files (\d+) of", plan)[1])
    with_files = json.loads(sides.get("/v1/tables/events"))["stats"]
    if not (with_files["record_count"] == 1000 and 0 < with_files["file_count"] < sources):
        raise SystemExit(f"events are not partly flushed: {with_files}, {sources} sources\n{plan}")


main()
