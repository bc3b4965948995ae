#!/usr/bin/env bash
# Measures `waybill-worker once` beside other tools, in turn in one run, on throw-away servers made here.
#   make bench                     TPC-H scale 1, five rounds; from PostgreSQL (also to CSV, to PostgreSQL and to S3, and of a wide table), from
#                                  CSV and from MariaDB
#   CASES="wide store" make bench  only these, of postgres, wide, text, target, store, csv and mariadb
#   SCALE=0.1 ROUNDS=3 make bench  smaller
#   BENCH_LARGE=5 make bench       also shows whether memory grows with the table
# BENCH_DIR keeps database and results (default ~/.cache/waybill/bench; about 5 GB at scale 1).
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh bench
export BENCH_DIR=${BENCH_DIR:-${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}/bench} SCALE=${SCALE:-1} ROUNDS=${ROUNDS:-5}
# Half of the build is what speaks to S3.
case " ${CASES:-store} " in *" store "*) WORKER_FEATURES=default,aws; export S3_PROGRAMS=$(dirname "$(deploy/dev/python.sh s3)") ;; esac
programs=$(WORKER_FEATURES=${WORKER_FEATURES:-default} deploy/dev/release.sh)
export PATH=$programs:$PATH
exec "$(deploy/dev/python.sh peers)" deploy/dev/bench.py
