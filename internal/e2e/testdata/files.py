"""Writes the same 6,000 rows as Parquet, CSV and NDJSON files, three of each,
into the directory that is given."""

import sys

import duckdb

directory = sys.argv[1]
db = duckdb.connect()
db.execute("""CREATE TABLE rows AS SELECT i AS n, 'dev-' || (i % 4) AS device,
    TIMESTAMP '2024-05-01' + INTERVAL (i * 47) SECOND AS ts, (i * 0.25)::DOUBLE AS value,
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'note, "quoted" ' || i END AS note FROM range(6000) r(i)""")
for part in range(3):
    rows = f"(SELECT * FROM rows WHERE n // 2000 = {part} ORDER BY n)"
    db.execute(f"COPY {rows} TO '{directory}/part-{part}.parquet' (FORMAT parquet)")
    db.execute(f"COPY {rows} TO '{directory}/part-{part}.csv' (FORMAT csv, HEADER)")
    db.execute(f"COPY {rows} TO '{directory}/part-{part}.ndjson' (FORMAT json)")
