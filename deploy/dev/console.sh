#!/usr/bin/env bash
# The web console: console.sh node|build|ready|check|generate|test|screens [DIRECTORY]
#   node      whether Node is new enough
#   build     builds it for the crate that embeds it, unless what is there was made from these sources
#   ready     the same; where that fails the orchestrator is built without it, never with an old one
#   check     types, lints, generated types, unit tests, budget
#   generate  the types of the API, from its description
#   test      the browser tests, against programs that are built already
#   screens   pictures of every page in both themes, into DIRECTORY (web/screens where absent)
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:?node, build, ready, check, generate, test or screens}
site=$PWD/crates/console/dist/site
need_node() {
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null && return
  echo "console.sh: Node 20.19 or newer with npm is missing: https://nodejs.org/en/download (the package of Debian 12 is older)" >&2
  exit 1
}
case $what in
  node) need_node; exit ;;
  ready)
    "$0" build && exit
    rm -rf "$site" "$site.state"
    echo "console.sh: the orchestrator is built WITHOUT THE WEB CONSOLE" >&2
    exit ;;
esac
state=${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}
mkdir -p "$state"
exec 9>"$state/console.lock"
flock 9
# packages DIRECTORY: what its lock file names, once for each state of it; no package runs a script of its own.
packages() {
  local mark
  need_node
  mark=$(sha256sum < "$1/package-lock.json" | cut -c1-16)
  if [ "$(cat "$1/node_modules/.state" 2>/dev/null)" != "$mark" ]; then
    (cd "$1" && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund) >&2
    echo "$mark" > "$1/node_modules/.state"
  fi
}
# Of everything that goes into the build, docs included that a page shows.
sources() { find web/src web/public web/tools web/index.html web/vite.config.ts web/tsconfig.json web/package.json web/package-lock.json docs/reference/failures.md -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16; }
build() {
  local fresh
  fresh=$(sources)
  [ "$(cat "$site.state" 2>/dev/null)" != "$fresh" ] || [ ! -s "$site/index.html" ] || return 0
  packages web
  rm -rf "$site.new"
  (cd web && WAYBILL_CONSOLE_OUT="$site.new" npm run --silent build) >&2
  # Swapped in whole: a build that ended early is never embedded.
  rm -rf "$site" && mv "$site.new" "$site"
  echo "$fresh" > "$site.state"
}
case $what in
  build) build ;;
  check)
    packages web
    packages web/codegen
    node web/codegen/generate.mjs --check
    build
    cd web
    npm run --silent types
    npm run --silent lint
    WAYBILL_CONSOLE_OUT=$site npm run --silent budget
    npm run --silent unit
    ;;
  generate)
    packages web/codegen
    node web/codegen/generate.mjs
    ;;
  test|screens)
    packages web
    browser=${WAYBILL_CHROMIUM:-/usr/bin/chromium}
    if [ ! -x "$browser" ]; then
      echo "console.sh: a browser is missing; run: sudo apt-get install -y --no-install-recommends chromium" >&2
      exit 1
    fi
    target=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
    export WAYBILL_CHROMIUM=$browser WAYBILL_PROGRAMS=${WAYBILL_PROGRAMS:-$target/debug}
    flock -u 9
    cd web
    if [ "$what" = test ]; then npm run --silent browser; else npm run --silent screens -- "${2:-$PWD/screens}"; fi
    ;;
  *) echo "console.sh: node, build, ready, check, generate, test or screens" >&2; exit 2 ;;
esac
