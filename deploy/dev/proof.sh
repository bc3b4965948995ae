#!/usr/bin/env bash
# The long matrices: property tests with many cases from a recorded seed, then the kill stories over and over.
#   CASES=2000 HISTORIES=200 TIMES=5 LAUNCHES=1000 RUNS=50 CUT=300s SECONDS_EACH=600 SEED=1 make proof
# The seed and every figure are printed, so that a run can be repeated.
set -euo pipefail
cd "$(dirname "$0")/../.."
cases=${CASES:-2000} times=${TIMES:-5} seed=${SEED:-$(date +%s)}
deploy/dev/tools.sh test
for set in readers s3 gcs secrets grants postgres; do deploy/dev/python.sh "$set" >/dev/null; done
deploy/dev/binaries.sh
told=$(mktemp)
trap 'rm -f "$told"' EXIT
echo "proof: cases=$cases times=$times seed=$seed"
run() { cargo nextest run --profile proof --workspace --locked --features waybill-worker/clouds "$@"; }
PROPTEST_CASES=$cases PROPTEST_RNG_SEED=$seed run -E 'test(arbitrary) + test(properties::) +
  test(no_text_breaks) + test(no_bytes_changed) + test(no_host_of_a_plan) + test(text_is_what_was_sent) + test(every_decimal_that_fits) +
  test(in_any_order) + test(literals::)'
LAUNCHES=${LAUNCHES:-1000} SEED=$seed run --no-capture -E 'test(/^ecs::storm::/)'
run --stress-count "$times" -E 'test(kills::) + test(faults::) + test(unseen::) + test(loops::)'
# An orchestrator that is away while many runs work.
FAULT_RUNS=${RUNS:-50} run -E 'test(f20_) - test(/^containers::/)'
# Histories for each source, mode and target, with late commits, new columns, kills, cuts, lost answers and other writers: each says
# what happened how often, and the sums stand below.
FAULT_RUNS=${HISTORIES:-200} SEED=$seed run --success-output final -E 'test(/^histories::/)' 2>&1 | tee "$told"
grep -o 'history [a-z0-9_]* seed=.*' "$told" | sort -u | sed 's/.*seconds=[0-9]* //' | tr ',' '\n' |
  awk -F= '{ gsub(/^ +/, "", $1); sum[$1] += $2 } END { for (what in sum) printf "histories: %6d %s\n", sum[what], what }' | sort -k3
# The demo from a PostgreSQL source, with the programs under test.
run -E 'test(/^demo::/)'
# Which values arrive, beside other tools, as the page says.
deploy/dev/fidelity.sh --check >/dev/null
# The readers of foreign bytes, fed with anything.
deploy/dev/fuzz.sh
# Each connector compiled by itself.
deploy/dev/features.sh
# The way between an agent and its orchestrator is cut for five minutes, within the grace.
if deploy/dev/limits.sh netns; then
  CUT=${CUT:-300s} run --no-capture -E 'test(f18_a_short_cut_between_agent_and_orchestrator)'
fi
# What hosts the orchestrator, and the scan of all Terraform; then the worker image as a task, and how long its container takes to its
# first word, which is held to a second with the programs as they ship (IMAGE_PROGRAMS=DIRECTORY names others). Left out, with a word, where
# Terraform, Node or a container engine is missing.
if deploy/dev/grants.sh; then
  deploy/dev/hosting.sh
  if deploy/dev/containers.sh; then
    export IMAGE_PROGRAMS=${IMAGE_PROGRAMS:-$(deploy/images/binaries.sh)}
    run --no-capture -E 'test(/^containers::/)'
  fi
fi
# The images for ARM64, where a cross compiler and QEMU's emulation are there.
if [ "$(uname -m)" = x86_64 ] && command -v qemu-aarch64-static >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null; then
  deploy/images/arm64.sh
else
  echo "proof.sh: qemu-aarch64-static or aarch64-linux-gnu-gcc is missing, so the images for ARM64 are NOT tried. As root: apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross" >&2
fi
