"""Skein from Python: ADBC's DBAPI, Arrow, bulk ingest.

    python quickstart.py [HOST:PORT [USER PASSWORD]]

It needs adbc-driver-flightsql, adbc-driver-manager and pyarrow.
"""

import sys

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa

address, *login = sys.argv[1:] or ["127.0.0.1:8815"]
options = dict(zip(("username", "password"), login))

# autocommit: each statement is a transaction of its own.
with flightsql.connect(f"grpc://{address}", db_kwargs=options, autocommit=True) as db, db.cursor() as cursor:
    # Arrow in: one call is stored whole or not at all.
    trips = pa.table({
        "city": ["Oslo", "Lima", "Oslo", "Pune"],
        "km": [3.2, 11.0, 0.7, 5.5],
    })
    rows = cursor.adbc_ingest("example_trips", trips, mode="replace")
    print("stored", rows, "rows")

    # Rows out, with a parameter.
    cursor.execute("SELECT city, km FROM example_trips WHERE km > ? ORDER BY km", (1,))
    for city, km in cursor.fetchall():
        print(city, km)

    # Arrow out, batch by batch: any size in flat memory.
    cursor.execute("SELECT range AS n FROM range(1000000)")
    total = sum(batch.num_rows for batch in cursor.fetch_record_batch())
    print("streamed", total, "rows")

    # Many rows of values in one transaction.
    cursor.executemany("INSERT INTO example_trips VALUES (?, ?)", [("Kyiv", 8.0), ("Bern", 2.5)])
    cursor.execute("SELECT count(*) FROM example_trips")
    print("now", cursor.fetchone()[0], "rows")
    cursor.execute("DROP TABLE example_trips")
