#!/usr/bin/env bash
# Prints the python of a pinned virtual environment, made when it is first asked for: python.sh readers|s3|gcs|secrets|grants|postgres|deny
# They stand outside the tree, under $WAYBILL_TOOLS (default ~/.cache/waybill), one for each state of its requirements file.
set -euo pipefail
name=${1:?name one of: readers, s3, gcs, secrets, grants, postgres, deny}
list=$(cd "$(dirname "$0")" && pwd)/requirements/$name.txt
[ -f "$list" ] || { echo "python.sh: there is no requirements/$name.txt" >&2; exit 2; }
tools=${WAYBILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waybill}
home=$tools/venv/$name-$(sha256sum "$list" | cut -c1-12)
mkdir -p "$tools/venv"
if [ ! -e "$home/ready" ]; then
  exec 9>"$tools/venv/$name.lock"
  flock 9
  if [ ! -e "$home/ready" ]; then
    rm -rf "$home"
    if ! python3 -m venv "$home" >&2; then
      rm -rf "$home"
      if [ "$(id -u)" = 0 ]; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } >&2
        python3 -m venv "$home" >&2
      else
        echo "python.sh: python3 can't make virtual environments; run: sudo apt-get install -y python3-venv" >&2
        exit 1
      fi
    fi
    "$home/bin/pip" install --quiet --disable-pip-version-check -r "$list" >&2
    touch "$home/ready"
  fi
fi
echo "$home/bin/python"
