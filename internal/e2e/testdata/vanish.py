"""Clients that go away.

    python vanish.py die HOST:PORT          ten results begun, then the process kills itself
    python vanish.py crowd HOST:PORT N      so many connections at once, each with an answer
"""

import concurrent.futures
import os
import sys

import adbc_driver_flightsql.dbapi as flightsql

verb, address, *rest = sys.argv[1:]


def connect():
    return flightsql.connect(f"grpc://{address}", autocommit=True)


def begun(c):
    cursor = c.cursor()
    cursor.execute("SELECT range AS n, range * 2 AS m FROM range(1000000000)")
    reader = cursor.fetch_record_batch()
    reader.read_next_batch()
    return cursor, reader


def asked(i):
    c = connect()
    cursor = c.cursor()
    cursor.execute(f"SELECT {i}")
    assert cursor.fetchone() == (i,)
    return c, cursor


if verb == "die":
    connection = connect()
    kept = [begun(connection) for _ in range(10)]
    print("begun", flush=True)
    os.kill(os.getpid(), 9)
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    kept = list(pool.map(asked, range(int(rest[0]))))
print("connections", len(kept))
for c, cursor in kept:
    cursor.close()
    c.close()
