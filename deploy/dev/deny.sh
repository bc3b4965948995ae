#!/usr/bin/env bash
# cargo-deny over the lock file, and the same licences over the lock files of the web console (npm.py). Advisories come from the
# dated copy in deploy/dev/advisories, so that the answer is the same offline; where RUSTSEC_DB names a newer checkout of the
# advisory database, that is used.
set -euo pipefail
cd "$(dirname "$0")/../.."
deny=$(dirname "$(deploy/dev/python.sh deny)")/cargo-deny
copy=$(ls deploy/dev/advisories/rustsec-*.tar.xz | tail -1)
tools=${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}
home=$tools/$(basename "$copy" .tar.xz)
base=$home/advisory-db-3157b0e258782691
if [ ! -e "$base/.git/FETCH_HEAD" ]; then
  rm -rf "$home" && mkdir -p "$base"
  if [ -n "${RUSTSEC_DB:-}" ]; then cp -R "$RUSTSEC_DB/." "$base"; else tar -xJf "$copy" -C "$base"; fi
  cd "$base"
  # The archive may hold one folder above the advisories.
  [ -d crates ] || { inner=$(find . -maxdepth 3 -type d -name crates | head -1); [ -n "$inner" ] && cp -R "$(dirname "$inner")/." .; }
  rm -rf .git && git init -q && git add -A
  git -c user.name=advisories -c user.email=advisories@localhost commit -qm "$(basename "$copy")"
  git update-ref FETCH_HEAD HEAD 2>/dev/null || true
  git rev-parse HEAD > .git/FETCH_HEAD
  cd - >/dev/null
fi
echo "advisories of $(basename "$copy" .tar.xz | sed 's/rustsec-//')"
sed "s#^db-path = .*#db-path = \"$home\"#" deny.toml > "$tools/deny.toml"
cargo fetch --locked --quiet
"$deny" --offline --all-features --config "$tools/deny.toml" --manifest-path Cargo.toml check --hide-inclusion-graph advisories bans licenses sources
python3 deploy/dev/npm.py web web/codegen
