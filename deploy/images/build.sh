#!/usr/bin/env bash
# Programs, bills of materials, images: build.sh OUT-DIRECTORY [DIRECTORY-WITH-BINARIES]
set -euo pipefail
out=${1:?a directory for the images}
cd "$(dirname "$0")"
binaries=${2:-$(./binaries.sh)}
names=(worker orchestrator agent cli)
python3 sbom.py "$out/sbom" "${names[@]}"
python3 build.py --binaries "$binaries" --out "$out" --sbom "$out/sbom" "${names[@]}"
