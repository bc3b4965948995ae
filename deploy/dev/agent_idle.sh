#!/usr/bin/env bash
# Measures what an idle agent costs: an orchestrator and one enrolled agent, both release builds of $1 (a directory with
# waybill-orchestrator, waybill-agent, waybill-worker and waybill), watched for $2 seconds (60 where absent). Fails above 20 MiB or
# 0.1 % of one core.
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
awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v seconds="$seconds" '
  /VmRSS/ { rss = $2 / 1024 }
  /VmHWM/ { peak = $2 / 1024 }
  END {
    share = ticks / hz / seconds * 100
    printf "agent, idle: %.3f %% of one core (%d ticks of %d per second in %d s), %.1f MiB resident, %.1f MiB at most\n", share, ticks, hz, seconds, rss, peak
    if (share > 0.1 || rss > 20) { print "over its limit: 0.1 % of one core, 20 MiB" > "/dev/stderr"; exit 1 }
  }' "/proc/$agent/status"
