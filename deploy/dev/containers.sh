#!/usr/bin/env bash
# Says whether tests can start real containers here. Fails, and says so, where they can't: an engine takes root, and no test installs one.
set -euo pipefail
missing=()
[ "$(id -u)" = 0 ] || missing+=(root)
for tool in dockerd docker ip unshare setpriv; do command -v "$tool" >/dev/null 2>&1 || missing+=("$tool"); done
[ ${#missing[@]} -eq 0 ] && exit
echo "containers.sh: missing: ${missing[*]}, so THE WORKER IMAGE IS NOT STARTED AS A TASK and its tests are LEFT OUT (containers::). As root: apt-get install docker.io iproute2" >&2
exit 1
