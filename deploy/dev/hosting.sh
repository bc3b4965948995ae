#!/usr/bin/env bash
# Checks what hosts the orchestrator: the chart (Helm's own lint and rendering, the schemas of Kubernetes), the systemd units, the
# Terraform, and the scan of all Terraform.
set -euo pipefail
cd "$(dirname "$0")/../.."
"$(deploy/dev/python.sh charts)" deploy/dev/charts.py
# check_unit NAME: valid, and no more exposed than the most that is given.
check_unit() {
  # The programs need not be installed here: another one stands for them.
  sed -E 's#/usr/(local/)?bin/waybill-(orchestrator|agent)#/bin/true#' "deploy/systemd/$1.service" > "$unit/$1.service"
  systemd-analyze verify --man=no "$unit/$1.service"
  level=$(systemd-analyze security --offline=true --no-pager "$unit/$1.service" | tail -2 | grep -oE '[0-9]+\.[0-9]' | head -1)
  echo "systemd unit $1: valid, exposure $level"
  awk -v level="$level" -v most="$2" 'BEGIN { exit level <= most ? 0 : 1 }'
}
if command -v systemd-analyze >/dev/null; then
  unit=$(mktemp -d)
  trap 'rm -rf "$unit"' EXIT
  check_unit waybill-orchestrator 2.0
  check_unit waybill-agent 3.5
else
  echo "systemd-analyze is missing: the units are NOT checked" >&2
fi
deploy/dev/terraform/run.sh deploy/hosting/aws validate -no-color
deploy/dev/terraform/run.sh deploy/hosting/aws test -no-color
deploy/dev/scan.sh
