#!/usr/bin/env bash
# Builds the programs that ship, so that where they were built does not show: binaries.sh [amd64|arm64] prints their directory.
# Every path of this machine is written as /waybill, /cargo or /rust; the lock file fixes every dependency. For the other processor than
# this machine's it takes a cross compiler, and says which package brings it.
set -euo pipefail
cd "$(dirname "$0")/../.."
own=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
architecture=${1:-$own}
case $architecture in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "binaries.sh: $architecture is neither amd64 nor arm64" >&2; exit 2 ;;
esac
triple=$machine-unknown-linux-gnu
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
home=${CARGO_HOME:-$HOME/.cargo} sysroot=$(rustc --print sysroot)
map="--remap-path-prefix=$PWD=/waybill --remap-path-prefix=$home=/cargo --remap-path-prefix=$sysroot=/rust --remap-path-prefix=$target=/target"
export RUSTFLAGS="$map ${RUSTFLAGS:-}"
export CFLAGS="-ffile-prefix-map=$PWD=/waybill -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$target=/target ${CFLAGS:-}"
export CARGO_INCREMENTAL=0 SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC
# Kernels of ARM64 have pages of 4, 16 or 64 KiB: the allocator is built for the largest, which suits all.
[ "$architecture" = amd64 ] || export JEMALLOC_SYS_WITH_LG_PAGE=16
# What ships has the console: without Node there is no build.
deploy/dev/console.sh build
packages=(-p waybill-orchestrator -p waybill-worker -p waybill-agent -p waybill-cli)
place=$target/release other=()
if [ "$architecture" != "$own" ]; then
  compiler=$machine-linux-gnu-gcc
  command -v "$compiler" >/dev/null || { echo "binaries.sh: $compiler is missing: apt-get install gcc-${machine/_/-}-linux-gnu libc6-dev-$architecture-cross" >&2; exit 1; }
  [ -d "$sysroot/lib/rustlib/$triple/lib" ] || rustup target add "$triple" >&2
  name=${triple//-/_}
  export "CC_$name=$compiler" "AR_$name=$machine-linux-gnu-ar" "CARGO_TARGET_${name^^}_LINKER=$compiler"
  place=$target/$triple/release other=(--target "$triple")
fi
cargo build --release --locked "${packages[@]}" "${other[@]}" --bins --features waybill-worker/clouds >&2
"$PWD/deploy/dev/no_faults.sh" "$place"
echo "$place"
