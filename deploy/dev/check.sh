#!/usr/bin/env bash
# Everything that can be said of the tree without running it. Stops at the first finding.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh build
say() { echo "== $*"; }

say "web console: types, lints, generated types, unit tests, budget"
if deploy/dev/console.sh node; then deploy/dev/console.sh check; else
  [ -z "${WAYBILL_ALL_TOOLS:-}" ] || exit 1
  echo "check.sh: without Node THE CONSOLE IS NOT CHECKED (web)" >&2
fi
say "format"
cargo fmt --all --check
say "lints"
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
say "licences, bans, sources, advisories"
deploy/dev/deny.sh
say "protocol numbers and generated files"
deploy/dev/generate.sh --check
cargo test --quiet --locked --workspace --features waybill-worker/clouds --test numbers
