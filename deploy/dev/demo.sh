#!/usr/bin/env bash
# The whole product on this machine, once: see the README. WAYBILL_DEMO_SOURCE=postgres://user:password@host:port/database uses that
# database as the source; a SQLite file otherwise. Tables public.orders and public.lineitem of an earlier demo are made anew, any
# others are left alone and end the demo. Off this machine it speaks TLS only: sslmode=verify-full, and sslrootcert=/path/of/the/ca.pem.
# WAYBILL_DEMO_PROGRAMS=DIRECTORY takes the programs from there and builds none.
set -euo pipefail
cd "$(dirname "$0")/../.."
began=$(date +%s)
deploy/dev/tools.sh demo
python=$(deploy/dev/python.sh readers)
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

kind=sqlite schema=
if [ -n "${WAYBILL_DEMO_SOURCE:-}" ]; then
  kind=postgres schema=public.
  place=$(python3 deploy/dev/demo.py place "$WAYBILL_DEMO_SOURCE")
  python3 deploy/dev/demo.py fresh "$place"
fi

say "Build (release; the cloud SDKs are left out)"
programs=${WAYBILL_DEMO_PROGRAMS:-$(deploy/dev/release.sh)}
export PATH=$programs:$PATH
built=$(date +%s)

home=$(mktemp -d "${TMPDIR:-/tmp}/waybill-demo.XXXXXX")
orchestrator=
finish() {
  status=$?
  if [ -n "$orchestrator" ]; then kill -TERM "$orchestrator" 2>/dev/null || true; wait "$orchestrator" 2>/dev/null || true; fi
  if [ $status = 0 ] && [ -z "${WAYBILL_DEMO_KEEP:-}" ]; then rm -rf "$home"; else echo "left in $home" >&2; fi
}
trap finish EXIT
export WAYBILL_STATE=$home/state XDG_CONFIG_HOME=$home/config

say "1. A source database on the customer's side: TPC-H orders and order lines"
[ $kind = postgres ] || place=$home/shop.db
echo "$(waybill-seed $kind "$place" 0.1 1 9) rows"
"$python" deploy/dev/demo.py spec "$kind" "$place" "$home/lake" > "$home/demo.waybill.yaml"
cat "$home/demo.waybill.yaml"

say "2. The orchestrator: its own SQLite database, certificate authority and local workers"
waybill-orchestrator serve --dev --state "$WAYBILL_STATE" > "$home/orchestrator.log" 2>&1 &
orchestrator=$!
until [ -s "$WAYBILL_STATE/ports.json" ]; do
  kill -0 "$orchestrator" 2>/dev/null || { cat "$home/orchestrator.log" >&2; exit 1; }
  sleep 0.1
done
waybill login --email demo@example.com --password-file <(head -c 18 /dev/urandom | base64)

say "3. Apply the pipeline file, check both ends with a worker, and run"
waybill validate "$home/demo.waybill.yaml"
waybill apply -f "$home/demo.waybill.yaml"
waybill connection check shop
waybill run start demo --watch
first=$(date +%s)

say "4. New orders arrive at the source; the second run takes the new ones"
echo "$(waybill-seed $kind "$place" 0.1 10 10) rows added"
waybill run start demo --watch

say "5. A worker is killed in the middle of the third run"
run=$(waybill run start demo -o name)
"$python" deploy/dev/demo.py kill "$WAYBILL_STATE" "$run"
waybill run watch "$run"
waybill run show "$run"

say "6. Independent readers, and the source's own answer"
"$python" deploy/dev/demo.py compare "$kind" "$place" "$home/lake"

say "7. The customer's own check: commit log, receipts, every file's digest"
waybill-worker verify "file://$home/lake"

say "8. What left the customer's side"
"$python" deploy/dev/demo.py left "$home/lake"
now=$(date +%s)
printf '\nbuild %d s, clone to first rows %d s, demo after the build %d s\n' $((built - began)) $((first - began)) $((now - built))
