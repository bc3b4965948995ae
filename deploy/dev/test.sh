#!/usr/bin/env bash
# Every test: the binaries first, once as they ship and once as a fault build whose processes tests can kill at named steps.
# Of the stories with containers, which take long, only the whole path, and of the demo from PostgreSQL only what it refuses;
# `make proof` runs all. What a tool is missing for is left out by name, with a word; with WAYBILL_ALL_TOOLS=1, as in CI, tools are
# installed, and one that is missing all the same fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh test
for set in readers s3 gcs secrets grants postgres; do deploy/dev/python.sh "$set" >/dev/null; done
wanted='all()'
# without TESTS: leaves them out for want of a tool, which was named before.
without() {
  if [ -n "${WAYBILL_ALL_TOOLS:-}" ]; then
    echo "test.sh: with WAYBILL_ALL_TOOLS nothing may be left out for want of a tool" >&2
    exit 1
  fi
  wanted+=$1
}
deploy/dev/grants.sh || without ' - test(/^grants::/) - test(/^containers::/)'
deploy/dev/containers.sh || without ' - test(/^containers::/) - test(/^agent::containers::/)'
if ! command -v podman >/dev/null; then
  echo "test.sh: podman is missing, so what runs on it is LEFT OUT (of_podman). As root: apt-get install podman runc" >&2
  without ' - test(/of_podman/)'
fi
if ! deploy/dev/node.sh azurite >/dev/null; then
  echo "test.sh: without Azurite THE TESTS OF AZURE ARE LEFT OUT (azure::)" >&2
  without ' - test(/^azure::/)'
fi
# limited WHAT TESTS: leaves them out where this machine allows none of it, which no tool mends.
limited() {
  local status=0
  deploy/dev/limits.sh "$1" || status=$?
  case $status in
    0) ;;
    1) wanted+=$2 ;;
    *) without "$2" ;;
  esac
}
limited disk ' - test(/full_disk/)'
limited memory ' - test(/f41_the_kernel_ends/)'
limited trace ' - test(/f40_/)'
limited netns ' - test(/^agent::cut::/) - test(/^agent::egress::/)'
limited users ' - test(/a_user_of_its_own/)'
# The whole demo moves 600,000 rows several times.
wanted+=' - test(/^demo::the_whole_demo/)'
wanted+=' - (test(/^containers::/) - test(from_the_command_to_rows))'
whole=
[ $# -gt 0 ] || { whole=1; set -- -E "$wanted"; }
deploy/dev/binaries.sh
if [ -n "$whole" ]; then
  # Beside the others they would wait for processors, and find what they look for too late.
  if deploy/dev/tools.sh browser; then deploy/dev/console.sh test || browser=failed; else
    [ -z "${WAYBILL_ALL_TOOLS:-}" ] || exit 1
    echo "test.sh: without Node and Chromium THE TESTS OF THE CONSOLE IN A BROWSER ARE LEFT OUT (web/e2e)" >&2
  fi
fi
# Most tests wait for processes and bounds: two for each processor take little more than half the time of one.
export NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$((2 * $(nproc)))}
cargo nextest run --workspace --locked --features waybill-worker/clouds "$@"
if [ -n "${browser:-}" ]; then
  echo "test.sh: a test of the console in a browser failed; its lines stand above the others" >&2
  exit 1
fi
