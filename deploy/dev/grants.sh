#!/usr/bin/env bash
# Fetches what the tests of the customer's grants need. Fails, and says so, where Terraform or Node is missing: both have no package
# that every machine can get, so those tests are then left out by name and nothing else is.
set -euo pipefail
cd "$(dirname "$0")"
for tool in terraform node npm; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "grants.sh: $tool is missing, so THE TESTS OF THE GRANTS ARE LEFT OUT (grants::). Terraform 1.9 or newer: https://developer.hashicorp.com/terraform/install; Node 20 or newer: https://nodejs.org" >&2
    exit 1
  fi
done
./python.sh grants >/dev/null
./node.sh simulate >/dev/null
./terraform/fetch.sh >/dev/null
