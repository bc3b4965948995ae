#!/usr/bin/env bash
# Prints the directory of a pinned Node program with its packages beside it: node.sh simulate|azurite
# It stands outside the tree, under $WAYBILL_TOOLS (default ~/.cache/waybill), one for each state of its files.
set -euo pipefail
name=${1:?name one of: simulate, azurite}
source=$(cd "$(dirname "$0")" && pwd)/$name
[ -f "$source/package-lock.json" ] || { echo "node.sh: there is no $name/package-lock.json" >&2; exit 2; }
command -v npm >/dev/null || { echo "node.sh: Node 20 or newer with npm is missing; run: sudo apt-get install -y nodejs npm" >&2; exit 1; }
tools=${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}
home=$tools/node/$name-$(cat "$source"/* | sha256sum | cut -c1-12)
mkdir -p "$tools/node"
if [ ! -e "$home/ready" ]; then
  exec 9>"$tools/node/$name.lock"
  flock 9
  if [ ! -e "$home/ready" ]; then
    rm -rf "$home" && mkdir -p "$home"
    cp "$source"/* "$home"
    (cd "$home" && npm ci --silent --no-audit --no-fund) >&2
    touch "$home/ready"
  fi
fi
echo "$home"
