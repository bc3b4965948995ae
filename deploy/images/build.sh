#!/usr/bin/env bash
# Programs, bills of materials, images, for this machine's processor or another: build.sh [--architecture amd64|arm64] OUT-DIRECTORY
# [DIRECTORY-WITH-BINARIES]
set -euo pipefail
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
if [ "${1:-}" = --architecture ]; then
  architecture=${2:?amd64 or arm64}
  shift 2
fi
out=$(realpath -m "${1:?a directory for the images}")
binaries=${2:+$(realpath "$2")}
cd "$(dirname "$0")"
binaries=${binaries:-$(./binaries.sh "$architecture")}
names=(worker orchestrator agent cli)
python3 sbom.py --architecture "$architecture" "$out/sbom" "${names[@]}"
python3 build.py --architecture "$architecture" --binaries "$binaries" --out "$out" --sbom "$out/sbom" "${names[@]}"
