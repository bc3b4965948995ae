#!/usr/bin/env bash
# Measures what an idle agent costs: an orchestrator and one enrolled agent, both release builds of $1 (a directory with
# waybill-orchestrator, waybill-agent, waybill-worker and waybill), watched for $2 seconds (60 where absent).
set -euo pipefail
bin=$(realpath "${1:?directory of the release programs}") seconds=${2:-60}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
WAYBILL__SERVER__API=127.0.0.1:0 WAYBILL__SERVER__WORKER=127.0.0.1:0 WAYBILL__SERVER__PRIVATE=127.0.0.1:0 \
  "$bin/waybill-orchestrator" serve --dev --state "$dir/state" >"$dir/orchestrator.log" 2>&1 &
pids+=($!)
until [ -e "$dir/state/ports.json" ]; do sleep 0.1; done
export HOME=$dir WAYBILL_STATE=$dir/state
echo 'a long enough phrase for a measurement' | "$bin/waybill" login --email admin@example.com --password-stdin >/dev/null
"$bin/waybill" agent enrol idle -o json >"$dir/invited.json"
read -r token orchestrator pin < <(python3 -c 'import json,sys; i=json.load(open(sys.argv[1])); print(i["token"], i["orchestrator"], i["ca_pin"])' "$dir/invited.json")
echo "$token" | "$bin/waybill-agent" enrol --state "$dir/agent" --orchestrator "$orchestrator" --ca-pin "$pin" 2>"$dir/enrol.log"
"$bin/waybill-agent" run --state "$dir/agent" --without-guard >"$dir/agent.log" 2>&1 &
agent=$!
pids+=("$agent")
until "$bin/waybill" agent show idle -o json | grep -q '"connected": true'; do sleep 0.2; done
ticks() { awk '{print $14 + $15}' "/proc/$agent/stat"; }
before=$(ticks)
sleep "$seconds"
after=$(ticks)
awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v seconds="$seconds" \
  'BEGIN { printf "CPU: %.3f %% of one core (%d ticks of %d per second in %d s)\n", ticks / hz / seconds * 100, ticks, hz, seconds }'
awk '/VmRSS|VmHWM/ { printf "%s %.1f MiB\n", $1, $2 / 1024 }' "/proc/$agent/status"
