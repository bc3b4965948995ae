#!/usr/bin/env bash
# Builds the binaries that integration tests run: <name> as it ships, and <name>-faults from a build with failpoints.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
faulty=waybill-worker/failpoints,waybill-orchestrator/failpoints
cargo build --locked -p waybill-worker -p waybill-orchestrator --bins --features "waybill-worker/aws,$faulty"
for name in waybill-worker waybill-orchestrator; do cp "$target/debug/$name" "$target/debug/$name-faults"; done
cargo build --locked --workspace --bins --features waybill-worker/aws
