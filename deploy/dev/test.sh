#!/usr/bin/env bash
# Every test: the binaries first, once as they ship and once as a fault build whose processes tests can kill at named steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh test
for set in readers s3 secrets grants; do deploy/dev/python.sh "$set" >/dev/null; done
deploy/dev/grants.sh || [ $# -gt 0 ] || set -- -E 'not test(/^grants::/)'
deploy/dev/binaries.sh
cargo nextest run --workspace --locked --features waybill-worker/aws "$@"
