#!/usr/bin/env bash
# Writes the TPC-DS tables as Parquet, and the 99 queries, into a directory:
#   scripts/tpcds.sh SCALE DIR      e.g. scripts/tpcds.sh 0.1 .cache/tpcds
# Data and queries come from DuckDB's own tpcds extension, which is signed by
# DuckDB and comes as a Python package for the version named here.
set -euo pipefail

VERSION=1.5.5

if [ $# -ne 2 ]; then
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
fi
scale=$1 dir=$2
tools=$(cd "$(dirname "$0")/.." && pwd)/.cache/tpcds-$VERSION

if [ ! -x "$tools/bin/python" ] || ! "$tools/bin/python" -c 'import duckdb_extension_tpcds' 2>/dev/null; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet "duckdb-extension-tpcds==$VERSION"
fi

mkdir -p "$dir/queries"
"$tools/bin/python" - "$scale" "$dir" <<'EOF'
import glob, os, sys
import duckdb, duckdb_extension_tpcds

scale, dir = float(sys.argv[1]), sys.argv[2]
package = os.path.dirname(duckdb_extension_tpcds.__file__)
[extension] = glob.glob(package + "/extensions/v*/tpcds.duckdb_extension")

def quoted(path):
    return "'" + path.replace("'", "''") + "'"

database = os.path.join(dir, "generate.duckdb")
if os.path.exists(database):
    os.remove(database)
db = duckdb.connect(database, config={"memory_limit": "2GB"})
db.execute("LOAD " + quoted(extension))
db.execute(f"CALL dsdgen(sf={scale})")
for (table,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall():
    path = os.path.join(dir, table + ".parquet")
    db.execute(f"COPY {table} TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
for number, text in db.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall():
    with open(os.path.join(dir, "queries", f"q{number:02d}.sql"), "w") as f:
        f.write(text.strip().rstrip(";").rstrip() + "\n")
db.close()
os.remove(database)
EOF
echo "TPC-DS, scale factor $scale: $dir"
