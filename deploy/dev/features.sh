#!/usr/bin/env bash
# Each connector by itself: what one feature alone does not need must not be compiled with it, and what it needs must be.
set -euo pipefail
cd "$(dirname "$0")/../.."
features=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c '
import json, sys
package = next(p for p in json.load(sys.stdin)["packages"] if p["name"] == "waybill-connectors")
print(*(name for name in package["features"] if name not in ("default", "failpoints")))')
for feature in $features; do
  cargo clippy --quiet --locked -p waybill-connectors --lib --no-default-features --features "$feature" -- -D warnings ||
    { echo "features.sh: waybill-connectors does not hold with the feature $feature alone" >&2; exit 1; }
done
echo "waybill-connectors holds with each of: $features"
