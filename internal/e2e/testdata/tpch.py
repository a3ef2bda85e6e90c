"""Runs the statements of a directory and writes each result as an Arrow
stream.

    tpch.py duckdb DATA STATEMENTS OUT    in a DuckDB over the Parquet files of DATA
    tpch.py adbc HOST:PORT STATEMENTS OUT    on a server, by ADBC
"""

import pathlib
import sys
import time

import pyarrow as pa

kind, source, statements, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])


def duckdb_runner():
    import duckdb

    db = duckdb.connect()
    for path in pathlib.Path(source).iterdir():
        files = f"{path}/*.parquet" if path.is_dir() else str(path)
        db.execute(f"CREATE VIEW {path.stem} AS FROM read_parquet('{files}')")
    return lambda sql: db.execute(sql).to_arrow_table()


def adbc_runner():
    import adbc_driver_flightsql.dbapi as flightsql

    connection = flightsql.connect(f"grpc://{source}", autocommit=True)

    def run(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    return run


run = duckdb_runner() if kind == "duckdb" else adbc_runner()
out.mkdir(parents=True)
total = 0.0
for path in sorted(statements.glob("*.sql")):
    start = time.monotonic()
    try:
        table = run(path.read_text())
    except Exception as e:
        sys.exit(f"{path.name}: {e}")
    total += time.monotonic() - start
    with pa.OSFile(str(out / f"{path.stem}.arrow"), "wb") as f, pa.ipc.new_stream(f, table.schema) as writer:
        writer.write_table(table)
print(f"{kind}: {total:.2f} s")
