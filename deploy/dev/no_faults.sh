#!/usr/bin/env bash
# Refuses release programs in DIRECTORY that know the orders of a fault build: no_faults.sh DIRECTORY
set -euo pipefail
looked=0
for name in waybill-orchestrator waybill-worker waybill-agent; do
  [ -e "$1/$name" ] || continue
  looked=$((looked + 1))
  if grep -qaE 'WAYBILL_(FAULT|TAP|LEAK)' "$1/$name"; then
    echo "no_faults.sh: $1/$name is a fault build" >&2
    exit 1
  fi
done
[ $looked -ge 2 ] || { echo "no_faults.sh: there are no programs in $1" >&2; exit 1; }
