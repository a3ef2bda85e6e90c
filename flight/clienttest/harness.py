"""What the checks of the ADBC driver share.

A module of checks marks its functions with @check; check_adbc.py runs them
all, in the order in which they were defined.
"""

import sys
import warnings

import adbc_driver_flightsql.dbapi as flightsql

warnings.filterwarnings("ignore", message="Cannot disable autocommit")

address = sys.argv[1]
credentials = {}
if len(sys.argv) > 3:
    credentials = {"username": sys.argv[2], "password": sys.argv[3]}

TABLES = [
    "adbc_a", "adbc_ab", "adbcxa", "adbc_load", "adbc_types", "adbc_empty", "adbc_made", "adbc_rows", "adbc_arrow",
]

checks = []


def check(f):
    """Adds f(connection, cursor) to the checks."""
    checks.append(f)
    return f


def connect(**more):
    return flightsql.connect(f"grpc://{address}", db_kwargs={**credentials, **more})


def query(cur, sql, parameters=None):
    cur.execute(sql, parameters)
    return cur.fetchall()


def table(cur, sql, parameters=None):
    cur.execute(sql, parameters)
    return cur.fetch_arrow_table()


def refused(kind, do, *words):
    """The text of the error of a kind that do() raises, which holds words."""
    try:
        do()
    except kind as e:
        for w in words:
            assert w in str(e), f"{w!r} is not in {e}"
        return str(e)
    except Exception as e:  # any other error is the wrong one
        raise AssertionError(f"{type(e).__name__}: {e}, want {kind.__name__}") from e
    raise AssertionError("no error")


def equal(got, want):
    assert got == want, f"got {got}, want {want}"


def drop(cur):
    for t in TABLES:
        cur.execute(f'DROP TABLE IF EXISTS "{t}"')


def exported(batch):
    schema, array = batch.__arrow_c_array__()
    return array, schema
