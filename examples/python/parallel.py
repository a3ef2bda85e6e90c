"""Reads one result in several processes, each from the worker that has the rows.

    python parallel.py SQL [HOST:PORT [USER PASSWORD]]

It needs adbc-driver-flightsql, adbc-driver-manager and pyarrow.
"""

import concurrent.futures
import multiprocessing
import sys

import adbc_driver_flightsql.dbapi as flightsql


def connect(address, login):
    options = dict(zip(("username", "password"), login))
    options["adbc.flight.sql.rpc.call_header.skein-endpoints"] = "parallel"
    return flightsql.connect(f"grpc://{address}", db_kwargs=options, autocommit=True)


def count(job):
    address, login, partition = job
    with connect(address, login) as db, db.cursor() as cursor:
        cursor.adbc_read_partition(partition)
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


if __name__ == "__main__":
    sql, address, *login = sys.argv[1:] + ["127.0.0.1:8815"][len(sys.argv) - 2:]
    with connect(address, login) as db, db.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions(sql)
    with concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = sum(pool.map(count, [(address, login, p) for p in partitions]))
    print(f"{rows} rows in {len(partitions)} partitions, columns {schema.names}")
