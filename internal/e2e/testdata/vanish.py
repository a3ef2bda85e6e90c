"""Clients that go away.

    python vanish.py fill HOST:PORT         makes the table "long"
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


SLOW = "SELECT range AS n, range * 2 AS m FROM range(1000000000)"
TABLE = "SELECT * FROM long"
GROUPS = "SELECT n, count(*) AS c, min(s) AS s FROM long GROUP BY n"
SORTED = "SELECT * FROM long ORDER BY m DESC"


def begun(c, query):
    cursor = c.cursor()
    cursor.execute(query)
    reader = cursor.fetch_record_batch()
    reader.read_next_batch()
    return cursor, reader


def asked(i):
    c = connect()
    cursor = c.cursor()
    cursor.execute(f"SELECT {i}")
    assert cursor.fetchone() == (i,)
    return c, cursor


if verb == "fill":
    with connect() as c, c.cursor() as cursor:
        cursor.execute("CREATE TABLE long AS SELECT range AS n, range * 7 % 1000003 AS m, repeat('x', 200) AS s FROM range(1000000)")
        cursor.fetchall()
    sys.exit()
if verb == "die":
    connection = connect()
    kept = [begun(connection, q) for q in [SLOW] * 4 + [TABLE] * 4 + [GROUPS, SORTED]]
    print("begun", flush=True)
    os.kill(os.getpid(), 9)
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    kept = list(pool.map(asked, range(int(rest[0]))))
print("connections", len(kept))
for c, cursor in kept:
    cursor.close()
    c.close()
