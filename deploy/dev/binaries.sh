#!/usr/bin/env bash
# Builds the binaries that integration tests run: <name> as it ships, and <name>-faults from a build with failpoints.
# Both builds take the whole workspace, so that they share every dependency. `--examples` (there are none) counts the
# dev-dependencies in: the tests, which are built next, then want the same features of each dependency and compile none of them again.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/console.sh ready
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
cargo build --locked --workspace --bins --examples --features waybill-worker/clouds,waybill-worker/failpoints,waybill-orchestrator/failpoints,waybill-agent/failpoints
for name in waybill-worker waybill-orchestrator waybill-agent; do cp "$target/debug/$name" "$target/debug/$name-faults"; done
cargo build --locked --workspace --bins --examples --features waybill-worker/clouds
