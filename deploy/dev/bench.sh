#!/usr/bin/env bash
# Measures `waybill-worker once` beside other tools, in turn in one run, on throw-away servers made here.
#   make bench                     TPC-H scale 1, five rounds; from PostgreSQL (also to CSV and to PostgreSQL), from CSV and from MariaDB
#   CASES="csv mariadb" make bench only these
#   SCALE=0.1 ROUNDS=3 make bench  smaller
#   BENCH_LARGE=5 make bench       also shows whether memory grows with the table
# BENCH_DIR keeps database and results (default ~/.cache/waybill/bench; about 5 GB at scale 1).
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh bench
export BENCH_DIR=${BENCH_DIR:-${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}/bench} SCALE=${SCALE:-1} ROUNDS=${ROUNDS:-5}
programs=$(deploy/dev/release.sh)
export PATH=$programs:$PATH
exec "$(deploy/dev/python.sh peers)" deploy/dev/bench.py
