#!/usr/bin/env bash
# Checks what hosts the orchestrator: the chart (Helm's own lint and rendering, the schemas of Kubernetes), the systemd unit, the
# Terraform, and the scan of all Terraform.
set -euo pipefail
cd "$(dirname "$0")/../.."
"$(deploy/dev/python.sh charts)" deploy/dev/charts.py
if command -v systemd-analyze >/dev/null; then
  unit=$(mktemp -d)
  trap 'rm -rf "$unit"' EXIT
  # The program need not be installed here: another one stands for it.
  sed 's#/usr/bin/waybill-orchestrator#/bin/true#' deploy/systemd/waybill-orchestrator.service > "$unit/waybill-orchestrator.service"
  systemd-analyze verify --man=no "$unit/waybill-orchestrator.service"
  level=$(systemd-analyze security --offline=true --no-pager "$unit/waybill-orchestrator.service" | tail -2 | grep -oE '[0-9]+\.[0-9]' | head -1)
  echo "systemd unit: valid, exposure $level"
  awk -v level="$level" 'BEGIN { exit level <= 2.0 ? 0 : 1 }'
else
  echo "systemd-analyze is missing: the unit is NOT checked" >&2
fi
deploy/dev/terraform/run.sh deploy/hosting/aws validate -no-color
deploy/dev/terraform/run.sh deploy/hosting/aws test -no-color
deploy/dev/scan.sh
