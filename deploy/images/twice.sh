#!/usr/bin/env bash
# Shows that where the programs are built does not show in them: compiles all four twice from nothing, in two directories of other
# names and lengths, with other build directories, other homes of the package cache and other numbers of jobs, and compares every byte.
# What stays the same is the compiler, the C compiler and the kernel. Prints each program's digest; ends with 1 on a difference.
#   deploy/images/twice.sh [DIRECTORY]   about 9 GB there, by default a temporary one that is removed
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
names=(waybill-orchestrator waybill-worker waybill-agent waybill)
place=${1:-$(mktemp -d "${TMPDIR:-/tmp}/waybill-twice.XXXXXX")}
[ $# -gt 0 ] || trap 'rm -rf "$place"' EXIT
packages=${CARGO_HOME:-$HOME/.cargo}

# build NAME-OF-THE-CLONE JOBS: one build of what is committed, of which only the programs are kept.
build() {
  local clone=$place/$1 began=$SECONDS
  git clone --quiet --no-hardlinks "$root" "$clone"
  mkdir -p "$clone-packages" "$clone-programs"
  # A home of its own with the same downloads, so that nothing is fetched again and the sources are unpacked in another place.
  for part in config config.toml bin; do [ ! -e "$packages/$part" ] || ln -s "$packages/$part" "$clone-packages/$part"; done
  mkdir -p "$clone-packages/registry"
  for part in cache index; do [ ! -e "$packages/registry/$part" ] || cp -r "$packages/registry/$part" "$clone-packages/registry/$part"; done
  (cd "$clone" && CARGO_HOME=$clone-packages CARGO_TARGET_DIR=$clone-build CARGO_BUILD_JOBS=$2 deploy/images/binaries.sh >/dev/null)
  for name in "${names[@]}"; do cp "$clone-build/release/$name" "$clone-programs/"; done
  rm -rf "$clone" "$clone-build" "$clone-packages"
  echo "twice: built in $((SECONDS - began)) s with $2 job(s)"
}

jobs=$(nproc)
build one "$jobs"
build another-and-a-longer-name $((jobs + 1))
differ=0
for name in "${names[@]}"; do
  one=$(sha256sum < "$place/one-programs/$name") another=$(sha256sum < "$place/another-and-a-longer-name-programs/$name")
  if [ "$one" = "$another" ]; then
    echo "twice: $name sha256:${one%% *} both times"
  else
    echo "twice: $name DIFFERS: sha256:${one%% *} and sha256:${another%% *}" >&2
    differ=1
  fi
done
exit $differ
