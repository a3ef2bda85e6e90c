"""Skein with pandas and Polars, both ways.

    python frames.py [HOST:PORT [USER PASSWORD]]

It needs adbc-driver-flightsql, adbc-driver-manager, pyarrow, pandas and polars.
"""

import sys

import adbc_driver_flightsql.dbapi as flightsql
import pandas
import polars

address, *login = sys.argv[1:] or ["127.0.0.1:8815"]
options = dict(zip(("username", "password"), login))

with flightsql.connect(f"grpc://{address}", db_kwargs=options, autocommit=True) as db, db.cursor() as cursor:
    # pandas in and out.
    frame = pandas.DataFrame({"city": ["Oslo", "Lima", "Oslo"], "km": [3.2, 11.0, 0.7]})
    frame.to_sql("example_frames", db, index=False, if_exists="replace")
    means = pandas.read_sql("SELECT city, avg(km) AS mean FROM example_frames GROUP BY city ORDER BY city", db)
    print(means.to_string(index=False))

    # Polars in and out; a frame is Arrow already.
    cursor.adbc_ingest("example_frames", polars.DataFrame({"city": ["Pune"], "km": [5.5]}).to_arrow(), mode="append")
    longest = polars.read_database("SELECT city, km FROM example_frames ORDER BY km DESC LIMIT 2", db)
    print(longest.rows())
    cursor.execute("DROP TABLE example_frames")
