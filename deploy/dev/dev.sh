#!/usr/bin/env bash
# Builds and starts an orchestrator on this machine, with everything it keeps below ./.waybill; Ctrl+C drains and stops it.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh build
deploy/dev/console.sh ready
cargo build --locked -p waybill-orchestrator -p waybill-worker -p waybill-cli --bins
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
echo "the command line is $target/debug/waybill" >&2
exec "$target/debug/waybill-orchestrator" serve --dev --state "$PWD/.waybill"
