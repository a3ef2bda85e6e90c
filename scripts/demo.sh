#!/usr/bin/env bash
# The demo: a server on its own, the specification's users and orders by REST,
# TPC-H by `skein load`, queries by REST and Flight SQL. ONCE=1 stops after
# that; without, the server goes on until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
grpc=${SKEIN_DEMO_GRPC:-127.0.0.1:8815}
http=${SKEIN_DEMO_HTTP:-127.0.0.1:8080}
dir=$(mktemp -d)
server=

cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap cleanup EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

if [ ! -x "$cache/venv/bin/tpchgen-cli" ]; then
  say "Installing the TPC-H generator (once)"
  python3 -m venv "$cache/venv" 2>/dev/null || { apt-get update -qq; apt-get install -y -qq python3-venv >/dev/null; python3 -m venv "$cache/venv"; }
  "$cache/venv/bin/pip" install -q --disable-pip-version-check "$(grep tpchgen scripts/requirements.txt)"
fi
command -v curl >/dev/null || { apt-get update -qq; apt-get install -y -qq curl >/dev/null; }

say "Starting skein serve (REST on http://$http, Flight SQL on $grpc)"
bin/skein serve --data-dir "$dir/data" --grpc-addr "$grpc" --http-addr "$http" --log-level warn &
server=$!
for _ in $(seq 100); do
  curl -sf "http://$http/readyz" >/dev/null && break
  kill -0 "$server" 2>/dev/null || { echo "the server did not start" >&2; exit 1; }
  sleep 0.1
done
curl -sf "http://$http/readyz" >/dev/null

post() { curl -sS --fail-with-body -X POST "http://$http$1" -H 'Content-Type: application/json' -d "$2"; }

say "Users and orders by REST"
post /v1/tables '{"table_name": "users", "config": {"buffer_size": 2000, "flush_interval_seconds": 30, "retention_days": 365, "backup_enabled": true}}'
post /v1/tables '{"table_name": "orders"}'
post /v1/data '{"table": "users", "id": "user-123", "timestamp": "2023-10-27T10:00:00Z", "payload": {"name": "张三", "age": 25, "city": "北京"}}'
post /v1/data '{"table": "users", "id": "user-456", "timestamp": "2023-10-28T11:30:00Z", "payload": {"name": "李四", "age": 19, "city": "上海"}}'
for i in 1 2 3; do
  post /v1/data "{\"table\": \"orders\", \"id\": \"order-$i\", \"timestamp\": \"2024-01-15T10:00:0${i}Z\", \"payload\": {\"user_id\": \"user-123\", \"amount\": $i.5}}"
done

say "The specification's queries by REST"
for sql in \
  "SELECT COUNT(*) FROM users WHERE id = 'user-123' AND timestamp >= '2023-10-01' AND payload.age > 20" \
  "SELECT u.payload.name, COUNT(o.id) as order_count FROM users u LEFT JOIN orders o ON u.id = o.payload.user_id GROUP BY u.payload.name ORDER BY order_count DESC"; do
  echo "$sql"
  post /v1/query "{\"sql\": \"$sql\"}"
done

say "TPC-H, scale factor ${SF:-0.1}, by skein load"
"$cache/venv/bin/tpchgen-cli" parquet -s "${SF:-0.1}" --output-dir "$dir/tpch" >/dev/null 2>&1
for t in region nation supplier customer part partsupp orders lineitem; do
  name=$t
  [ "$t" = orders ] && name=tpch_orders # orders is taken by the users' orders
  files=$(find "$dir/tpch" -name "$t.parquet" -o -path "*/$t/*.parquet" -o -name "$t.*.parquet" | sort)
  # shellcheck disable=SC2086
  bin/skein load --addr "$grpc" --table "$name" $files
done

say "TPC-H query 1 by Flight SQL"
bin/skein sql --addr "$grpc" -c "
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
       avg(l_discount) AS avg_disc, count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"

say "Tables"
bin/skein tables --addr "$grpc"

if [ "${ONCE:-}" = 1 ]; then
  say "Done"
  exit 0
fi
say "Still serving: bin/skein sql --addr $grpc, or http://$http/ in a browser. Ctrl-C stops."
trap 'cleanup; exit 0' INT TERM
wait "$server"
