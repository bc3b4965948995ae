#!/usr/bin/env bash
# Removes builds and what demos left in the tree; the caches outside it stay.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo clean --quiet
rm -rf .waybill .demo crates/console/dist/site* web/node_modules web/codegen/node_modules web/dist web/screens
