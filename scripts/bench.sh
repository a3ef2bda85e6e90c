#!/usr/bin/env bash
# Runs the benchmark suites against a fresh server on its own. SF is the
# TPC-H scale factor.
set -euo pipefail
cd "$(dirname "$0")/.."
sf=${SF:-1}
grpc=${SKEIN_BENCH_GRPC:-127.0.0.1:8915}
http=${SKEIN_BENCH_HTTP:-127.0.0.1:8980}
data=$PWD/.cache/tpch-sf$sf
dir=$(mktemp -d)
if [ ! -x .cache/venv/bin/tpchgen-cli ]; then
  mkdir -p .cache
  python3 -m venv .cache/venv
  .cache/venv/bin/pip install -q --disable-pip-version-check "$(grep tpchgen scripts/requirements.txt)"
fi
[ -d "$data" ] || .cache/venv/bin/tpchgen-cli parquet -s "$sf" --output-dir "$data"
bin/skein serve --data-dir "$dir" --grpc-addr "$grpc" --http-addr "$http" --log-level warn &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do curl -sf "http://$http/readyz" >/dev/null && break; sleep 0.1; done
bin/skein bench --addr "$grpc" --http "http://$http" --data "$data" "$@"
