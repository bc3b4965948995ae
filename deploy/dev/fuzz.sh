#!/usr/bin/env bash
# Feeds the readers of foreign bytes with anything: what PostgreSQL and MySQL send, CSV, commit logs, checkpoints.
#   SECONDS_EACH=600 TARGETS="postgres_copy csv" make fuzz
# Each target begins with its kept inputs (tests/fuzz/seeds), which every run of the tests feeds too. What breaks one is left in
# target/fuzz/artifacts and named; whoever mends it keeps it beside the others. Needs a nightly compiler (rustup).
set -euo pipefail
cd "$(dirname "$0")/../.."
each=${SECONDS_EACH:-600} targets=${TARGETS:-postgres_copy mysql_rows csv delta_log delta_checkpoint plain_log}
deploy/dev/tools.sh build
command -v rustup >/dev/null || { echo "fuzz.sh: rustup is missing, which brings the nightly compiler that fuzzing needs (https://rustup.rs)" >&2; exit 1; }
rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal >&2
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz --version 0.13.2
out=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$out"
out=$(cd "$out" && pwd)
# A workspace of its own has a lock of its own: what is fuzzed is of the versions that are shipped.
cp Cargo.lock tests/fuzz/Cargo.lock
for target in $targets; do
  mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
  log=$out/$target.log
  echo "fuzz: $target for $each s"
  # A row or a record is refused above some kilobytes here: nothing may ask for more memory than that many times over.
  CARGO_TARGET_DIR=$out/build cargo +nightly fuzz run --fuzz-dir tests/fuzz "$target" "$out/corpus/$target" "tests/fuzz/seeds/$target" -- \
    -max_total_time="$each" -max_len=4096 -malloc_limit_mb=64 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$out/artifacts/$target/" >"$log" 2>&1 ||
    { tail -30 "$log" >&2; echo "fuzz.sh: $target broke; the input is in $out/artifacts/$target, and all of it in $log" >&2; exit 1; }
  grep -E "number_of_executed_units|cov:" "$log" | tail -2 | sed 's/^/  /'
done
