"""Makes partitions of a statement, or reads them in processes of their own.

    python partitions.py fill SQL HOST:PORT USER PASSWORD          runs a statement
    python partitions.py make FILE HOST:PORT USER PASSWORD SQL     prints how many
    python partitions.py read FILE HOST:PORT USER PASSWORD         prints rows and the sum of column n
"""

import concurrent.futures
import multiprocessing
import pickle
import sys

import adbc_driver_flightsql.dbapi as flightsql


def connect(address, credentials):
    user, password = credentials
    options = {"adbc.flight.sql.rpc.call_header.skein-endpoints": "parallel", "username": user, "password": password}
    return flightsql.connect(f"grpc://{address}", db_kwargs=options, autocommit=True)


def read(job):
    address, credentials, partition = job
    try:
        with connect(address, credentials) as c, c.cursor() as cur:
            cur.adbc_read_partition(partition)
            t = cur.fetch_arrow_table()
            return t.num_rows, sum(t["n"].to_pylist())
    except flightsql.Error as e:
        raise RuntimeError(str(e)) from None  # the driver's errors do not pass between processes


def main():
    verb, file, address, user, password, *rest = sys.argv[1:]
    credentials = (user, password)
    if verb == "fill":
        with connect(address, credentials) as c, c.cursor() as cur:
            cur.execute(file)
        return
    if verb == "make":
        with connect(address, credentials) as c, c.cursor() as cur:
            partitions, _ = cur.adbc_execute_partitions(rest[0])
        with open(file, "wb") as f:
            pickle.dump(partitions, f)
        print(len(partitions))
        return
    with open(file, "rb") as f:
        jobs = [(address, credentials, p) for p in pickle.load(f)]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        got = list(pool.map(read, jobs))
    print(sum(n for n, _ in got), sum(s for _, s in got))


if __name__ == "__main__":
    main()
