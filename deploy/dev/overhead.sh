#!/usr/bin/env bash
# Measures what the orchestrator adds to a run, on SQLite and on a throw-away Postgres, with a scripted cloud that answers at once: from
# the call that starts a run to RunTask, starts per second of 1,000 runs that wait, and the orchestrator's processor time of a whole run;
# and what an idle agent takes. Fails where one of their limits is passed.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh bench
cargo build --release --locked -p waybill-orchestrator -p waybill-worker -p waybill-agent -p waybill-cli -p waybill-tests --bins --features waybill-worker/aws >&2
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
for database in sqlite postgres; do "$target/release/waybill-overhead" "$database"; done
deploy/dev/agent_idle.sh "$target/release" 60
