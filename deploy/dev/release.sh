#!/usr/bin/env bash
# Builds the programs as they ship, the cloud SDKs left out, and prints the directory that holds them. Demo and benchmark share this
# one selection of packages: another one would choose other features and compile the dependencies again. WORKER_FEATURES=default,aws adds S3.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/console.sh ready
features=${WORKER_FEATURES:-default}
cargo build --release --locked --no-default-features --features "waybill-worker/${features//,/,waybill-worker/}" \
  -p waybill-orchestrator -p waybill-worker -p waybill-cli -p waybill-tests \
  --bin waybill-orchestrator --bin waybill-worker --bin waybill --bin waybill-seed >&2
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
deploy/dev/no_faults.sh "$target/release"
echo "$target/release"
