"""The rows that both sides hold: in the server written by REST and bulk load,
in a plain DuckDB as typed tables."""

import datetime
import decimal
import json
import os
import subprocess
import urllib.error
import urllib.request

import duckdb
import pyarrow as pa

IDS = ["user-1", "user-2", "a b/c%:é", "日本", "_", "..", "it's", 'say "x"', "%41", "A", "a", "ünï/..x", "last"]
START = datetime.datetime(2024, 2, 27, 22, 30, tzinfo=datetime.timezone.utc)
BUFFER_ROWS = 120
NEVER_SECONDS = 3600

UTC_TIME = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema([
    ("id", pa.string()), ("timestamp", UTC_TIME),
    ("n", pa.int64()), ("v", pa.float64()), ("s", pa.string()), ("flag", pa.bool_()), ("mixed", pa.string()),
    ("obj", pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string()), ("d", pa.float64())])), ("e", pa.bool_())])),
    ("tags", pa.list_(pa.string())), ("nums", pa.list_(pa.float64())), ("userName", pa.string()),
    ("payload.id", pa.string()), ("payload.timestamp", pa.string()), ("big", pa.int64()), ("with space", pa.int64()),
    ("extra", pa.int64()), ("huge", pa.decimal128(38, 0)), ("größe", pa.int64()),
    ("items", pa.list_(pa.struct([("sku", pa.string()), ("qty", pa.int64())]))),
])


def event(i):
    """Record i. Types widen and conflict at 400 and at 800; the records at
    which a phase begins have all its fields, so that columns have an order."""
    first = i in (0, 400, 800)
    at = START + datetime.timedelta(minutes=6 * i, microseconds=(i * 37) % 1000)
    p = {
        "n": i, "v": i * 2, "s": f"s{i % 7}", "flag": i % 3 == 0, "mixed": i % 5,
        "obj": {"a": i % 11, "b": {"c": f"c{i % 4}"}}, "tags": [f"t{k}" for k in range(i % 4)], "nums": [i, i + 1],
        "userName": f"User {i % 13}", "id": f"inner-{i % 3}", "timestamp": f"2020-01-{i % 28 + 1:02d}",
        "big": 2**53 + 1 + i, "with space": i % 2,
    }
    if i >= 400:
        p.update(v=i + 0.5, mixed=f"word {i % 5}", nums=[i, i + 0.25, None], extra=i * 10,
                 obj={"a": i % 11, "b": {"c": "ß", "d": i / 4}, "e": i % 2 == 0})
    if i >= 800:
        p.update(mixed=[True, {"k": i}, [1, "x", None], 2.5][i % 4], huge=10**24 + i, größe=i,
                 items=[{"sku": f"sku-{k}", "qty": k + i % 3} for k in range(i % 3 + 1)])
    if not first:
        if i % 10 == 3:
            p["s"] = None
        if i % 10 == 4:
            del p["v"], p["tags"]
        if i % 10 == 6:
            p.update(obj=None, nums=[])
        if i % 25 == 7:
            p = {"n": i}
    return {"table": "events", "id": IDS[i % len(IDS)], "timestamp": iso(at), "payload": p}, at


def events():
    rows, typed = [], []
    for i in range(1000):
        record, at = event(i)
        rows.append(record)
        p = dict(record["payload"])
        row = {name: p.get(name) for name in EVENTS.names}
        row.update({"id": record["id"], "timestamp": at, "payload.id": p.get("id"), "payload.timestamp": p.get("timestamp")})
        if "mixed" in p:
            row["mixed"] = json.dumps(p["mixed"], separators=(",", ":"), ensure_ascii=False)
        if "huge" in p:
            row["huge"] = decimal.Decimal(p["huge"])
        typed.append(row)
    return rows, pa.Table.from_pylist(typed, EVENTS)


def users():
    schema = pa.schema([("id", pa.string()), ("timestamp", UTC_TIME), ("name", pa.string()), ("age", pa.int64()), ("city", pa.string())])
    rows, typed = [], []
    for i in range(60):
        at = START + datetime.timedelta(hours=i)
        p = {"name": f"Name {i % 50}", "age": 18 + i % 30, "city": [None, "北京", "Zürich", "Rio"][i % 4]}
        rows.append({"table": "users", "id": f"u{i}", "timestamp": iso(at), "payload": p})
        typed.append({"id": f"u{i}", "timestamp": at, **p})
    return rows, pa.Table.from_pylist(typed, schema)


def orders():
    schema = pa.schema([("id", pa.string()), ("timestamp", UTC_TIME), ("user_id", pa.string()), ("amount", pa.float64()), ("qty", pa.int64())])
    rows, typed = [], []
    for i in range(500):
        at = START + datetime.timedelta(minutes=11 * i)
        p = {"user_id": f"u{i * 7 % 75}", "amount": (i % 97) * 0.25 + 0.25, "qty": i % 9}
        rows.append({"table": "orders", "id": f"o{i % 40}", "timestamp": iso(at), "payload": p})
        typed.append({"id": f"o{i % 40}", "timestamp": at, **p})
    return rows, pa.Table.from_pylist(typed, schema)


def iso(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


RELATIONAL = {
    "trades": """SELECT 'S' || (i % 5)::VARCHAR AS sym, TIMESTAMP '2024-03-01' + INTERVAL (i * 13) MINUTE AS ts,
        (i * 1.37)::DECIMAL(12,2) AS price, (i % 50)::INTEGER AS qty, DATE '2024-03-01' + (i // 100)::INTEGER AS d,
        TIME '00:00:00' + INTERVAL (i) SECOND AS t, (i % 100)::TINYINT AS tiny, (i::UBIGINT + 18446744073709550000) AS ub,
        (i / 8)::FLOAT AS f, ('b' || i)::BLOB AS bin, [i, i + 1]::INTEGER[] AS l, {'x': i, 'y': 'y' || i} AS st,
        CASE WHEN i % 6 = 0 THEN NULL ELSE i * 1e-3 END AS opt, (i % 2 = 0) AS even
        FROM range(600) r(i)""",
    "quotes": """SELECT 'S' || (i % 5)::VARCHAR AS sym, TIMESTAMP '2024-03-01' + INTERVAL (i * 29) MINUTE AS ts,
        (i * 1.11)::DECIMAL(10,3) AS bid FROM range(280) r(i)""",
    "kinds": """SELECT i AS k, uuid AS u, m, e, hg, ns, d10, dd FROM (VALUES
        (1, UUID '6b3f6a7e-3f0c-4a3b-9f2c-0d9b7f2f0a11', MAP {'a': 1, 'b': 2}, 'red'::ENUM('red', 'green'), 170141183460469231731687303715884105::HUGEINT, TIMESTAMP_NS '2024-01-01 00:00:00.123456', 1.5::DECIMAL(4,1), 'NaN'::DOUBLE),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, 'infinity'::DOUBLE),
        (3, UUID '00000000-0000-0000-0000-000000000001', MAP {}, 'green'::ENUM('red', 'green'), -5::HUGEINT, TIMESTAMP_NS '1969-12-31 23:59:59', -0.1::DECIMAL(4,1), -0.0)
        ) v(i, uuid, m, e, hg, ns, d10, dd)""",
}

LOAD_OPTIONS = {"trades": ["--id", "sym", "--time", "ts"], "quotes": ["--time", "ts"], "kinds": []}


class Sides:
    """The server and the DuckDB, holding the same rows."""

    def __init__(self, http, grpc, skein, directory):
        self.http, self.grpc, self.skein, self.directory = http, grpc, skein, directory
        self.duckdb = duckdb.connect(config={"threads": 1})
        self.duckdb.execute("SET TimeZone = 'UTC'")

    def fill(self):
        for rows, table in (events(), users(), orders()):
            self.records(rows, table)
        for name, sql in RELATIONAL.items():
            self.relation(name, sql)
        self.call("/v1/tables", {"table_name": "nothing"})
        self.duckdb.execute("CREATE TABLE nothing (id VARCHAR, timestamp TIMESTAMPTZ)")
        self.call("/v1/query", {"sql": "CREATE TABLE bare (a INTEGER, b DECIMAL(10,2), c DATE)"})
        self.duckdb.execute("CREATE TABLE bare (a INTEGER, b DECIMAL(10,2), c DATE)")

    def records(self, rows, table):
        name = rows[0]["table"]
        self.call("/v1/tables", {"table_name": name, "config": {"buffer_size": BUFFER_ROWS, "flush_interval_seconds": NEVER_SECONDS}})
        for i in range(0, len(rows), 50):
            # One by one where columns are added, in batches else.
            if i % 400 == 0:
                self.call("/v1/data", rows[i], i)
                batch = rows[i + 1:i + 50]
            else:
                batch = rows[i:i + 50]
            self.post("/v1/data", "\n".join(json.dumps(r) for r in batch).encode(), "application/x-ndjson", i // 50)
        self.duckdb.register("source", table)
        self.duckdb.execute(f"CREATE TABLE {name} AS SELECT * FROM source")
        self.duckdb.unregister("source")

    def relation(self, name, sql):
        self.duckdb.execute(f"CREATE TEMP TABLE made AS {sql}")
        rows = self.duckdb.sql("SELECT count(*) FROM made").fetchone()[0]
        half = rows // 2
        for i, part in enumerate((f"LIMIT {half}", f"LIMIT {rows} OFFSET {half}")):
            path = os.path.join(self.directory, f"{name}-{i}.parquet")
            self.duckdb.execute(f"COPY (SELECT * FROM made ORDER BY 2, 1 {part}) TO '{path}' (FORMAT parquet)")
            # Two loads make files on two nodes, where there are as many.
            subprocess.run([self.skein, "load", "--addr", self.grpc[i % len(self.grpc)], "--table", name, "--quiet",
                            *LOAD_OPTIONS[name], path], check=True, timeout=60)
        self.duckdb.execute(f"CREATE TABLE {name} AS FROM read_parquet('{self.directory}/{name}-*.parquet')")
        self.duckdb.execute("DROP TABLE made")

    def call(self, path, body, node=0):
        return json.loads(self.post(path, json.dumps(body).encode(), "application/json", node))

    def get(self, path):
        return self.open(urllib.request.Request(f"http://{self.http[0]}{path}"))

    def post(self, path, body, content_type, node=0):
        url = f"http://{self.http[node % len(self.http)]}{path}"
        return self.open(urllib.request.Request(url, data=body, headers={"Content-Type": content_type}))

    @staticmethod
    def open(request):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError as e:
            raise SystemExit(f"{request.get_method()} {request.selector}: {e.code} {e.read().decode(errors='replace')[:1000]}") from None
