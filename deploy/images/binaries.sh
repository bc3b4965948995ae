#!/usr/bin/env bash
# Builds the programs that ship, so that where they were built does not show: binaries.sh prints their directory.
# Every path of this machine is written as /waybill, /cargo or /rust; the lock file fixes every dependency.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
home=${CARGO_HOME:-$HOME/.cargo} sysroot=$(rustc --print sysroot)
map="--remap-path-prefix=$PWD=/waybill --remap-path-prefix=$home=/cargo --remap-path-prefix=$sysroot=/rust --remap-path-prefix=$target=/target"
export RUSTFLAGS="$map ${RUSTFLAGS:-}"
export CFLAGS="-ffile-prefix-map=$PWD=/waybill -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$target=/target ${CFLAGS:-}"
export CARGO_INCREMENTAL=0 SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC
packages=(-p waybill-orchestrator -p waybill-worker -p waybill-agent -p waybill-cli)
cargo build --release --locked "${packages[@]}" --bins --features waybill-worker/clouds >&2
"$PWD/deploy/dev/no_faults.sh" "$target/release"
echo "$target/release"
