#!/usr/bin/env bash
# Which values arrive, beside other tools: prints the table of docs/fidelity.md, from throw-away servers made here.
#   make fidelity                     prints it
#   deploy/dev/fidelity.sh --check    ends with 1 where the page says something else
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/dev/tools.sh fidelity
programs=$(deploy/dev/release.sh)
export PATH=$programs:$PATH
exec "$(deploy/dev/python.sh fidelity)" deploy/dev/fidelity.py "$@"
