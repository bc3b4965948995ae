#!/usr/bin/env bash
# Writes the generated files anew, or with --check says which of them are out of date.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-write}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cargo build --locked --quiet --workspace --bins --examples --features waybill-worker/clouds
target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
bin=$target/debug
"$bin/waybill-orchestrator" openapi > "$fresh/openapi.json"
"$bin/waybill-orchestrator" roles > "$fresh/roles.md"
"$bin/waybill" schema > "$fresh/schema.json"
"$bin/waybill-reference" failures > "$fresh/failures.md"
"$bin/waybill-reference" problems > "$fresh/problems.md"
"$bin/waybill-reference" description > "$fresh/description.md"
"$bin/waybill-orchestrator" config print > "$fresh/config.toml"
stale=()
for file in openapi.json roles.md schema.json failures.md problems.md description.md config.toml; do
  if ! cmp -s "$fresh/$file" "docs/reference/$file"; then
    stale+=("docs/reference/$file")
    [ "$mode" = --check ] || cp "$fresh/$file" "docs/reference/$file"
  fi
done
if [ "$mode" != --check ]; then
  # Fields that were added get their lines in the lock of numbers; one that was changed is refused.
  WAYBILL_NUMBERS=extend cargo test --quiet --locked --workspace --features waybill-worker/clouds --test numbers >"$fresh/numbers" ||
    { cat "$fresh/numbers" >&2; exit 1; }
fi
# The console's types are made of the description that was just written.
if [ "$mode" != --check ]; then
  deploy/dev/console.sh generate || { echo "generate.sh: web/src/api/schema.ts is as it was" >&2; exit 1; }
fi
if [ "$mode" = --check ]; then
  [ ${#stale[@]} = 0 ] || { echo "out of date: ${stale[*]}; run: make generate" >&2; exit 1; }
else
  [ ${#stale[@]} = 0 ] && echo "all up to date" || echo "written: ${stale[*]}"
fi
