#!/usr/bin/env bash
# Programs, bills of materials, images: build.sh OUT-DIRECTORY [DIRECTORY-WITH-BINARIES]
set -euo pipefail
out=${1:?a directory for the images}
cd "$(dirname "$0")"
binaries=${2:-$(./binaries.sh)}
names=(worker orchestrator cli)
# No image of the agent: it starts workers as processes of its host, and one of its own would hold none to start.
python3 sbom.py "$out/sbom" "${names[@]}"
python3 build.py --binaries "$binaries" --out "$out" --sbom "$out/sbom" "${names[@]}"
