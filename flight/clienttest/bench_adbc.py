"""Measures reading and loading TPC-H's lineitem by ADBC against DuckDB in
this process, in turn, in one run.

    python bench_adbc.py --data DIR [--rounds N] HOST:PORT [USER PASSWORD]

DIR holds lineitem.parquet, or a directory lineitem of such files, as
tpchgen-cli writes them. The table bench_lineitem is made and dropped.

read: SELECT * to Arrow batches, which are dropped; bytes are those of the
batches. ingest: adbc_ingest of an Arrow table against DuckDB's COPY of the same
table to Parquet (zstd). The ratio is that of the medians; above 1 Skein is
faster. It prints one line of JSON.
"""

import argparse
import json
import pathlib
import statistics
import tempfile
import time

import adbc_driver_flightsql.dbapi as flightsql
import duckdb

TABLE = "bench_lineitem"
BATCH_ROWS = 50_000  # the driver sends at most 16 MiB in a message


def timed(f):
    began = time.perf_counter()
    result = f()
    return time.perf_counter() - began, result


def drained(reader):
    rows = size = 0
    for b in reader:
        rows, size = rows + b.num_rows, size + b.nbytes
    return rows, size


def adbc_read(cursor):
    cursor.execute(f"SELECT * FROM {TABLE}")
    return drained(cursor.fetch_record_batch())


def duckdb_read(db, files):
    return drained(db.execute(f"SELECT * FROM read_parquet('{files}')").to_arrow_reader(122_880))


def duckdb_copy(db, rows, directory):
    db.register("loaded", rows)
    db.execute(f"COPY loaded TO '{directory}/copy.parquet' (FORMAT parquet, COMPRESSION zstd)")
    db.unregister("loaded")


def report(ours, theirs):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    return {"skein_s": round(ours, 3), "duckdb_s": round(theirs, 3), "ratio": round(theirs / ours, 2)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True, type=pathlib.Path)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("server")
    p.add_argument("login", nargs="*")
    a = p.parse_args()
    files = a.data / "lineitem"
    files = f"{files}/*.parquet" if files.is_dir() else str(a.data / "lineitem.parquet")
    db = duckdb.connect()
    rows = db.execute(f"SELECT * FROM read_parquet('{files}')").to_arrow_table()
    options = dict(zip(("username", "password"), a.login))
    loads, copies, reads, scans, sizes = [], [], [], [], set()
    with flightsql.connect(f"grpc://{a.server}", db_kwargs=options, autocommit=True) as c, c.cursor() as cursor, tempfile.TemporaryDirectory() as tmp:
        for _ in range(a.rounds):
            seconds, stored = timed(lambda: cursor.adbc_ingest(TABLE, rows.to_reader(max_chunksize=BATCH_ROWS), mode="replace"))
            assert stored == rows.num_rows, (stored, rows.num_rows)
            loads.append(seconds)
            copies.append(timed(lambda: duckdb_copy(db, rows, tmp))[0])
        for _ in range(a.rounds):
            seconds, got = timed(lambda: adbc_read(cursor))
            reads.append(seconds)
            assert got[0] == rows.num_rows, got
            seconds, want = timed(lambda: duckdb_read(db, files))
            scans.append(seconds)
            sizes |= {got[1], want[1]}
        cursor.execute(f"DROP TABLE {TABLE}")
    size = max(sizes)
    print(json.dumps({"rows": rows.num_rows, "bytes": size, "read": report(reads, scans), "ingest": report(loads, copies)}))


if __name__ == "__main__":
    main()
