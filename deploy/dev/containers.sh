#!/usr/bin/env bash
# Says whether tests can start real containers here. Fails, and says so, where they can't: an engine takes root, and no test installs one.
set -euo pipefail
missing=()
[ "$(id -u)" = 0 ] || missing+=(root)
for tool in dockerd docker ip unshare setpriv; do command -v "$tool" >/dev/null 2>&1 || missing+=("$tool"); done
# Being there is not enough: a machine may forbid an engine what it needs.
answers() {
  local dir engine status=1
  dir=$(mktemp -d)
  unshare --mount dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" --host "unix://$dir/socket" --group root \
    --bridge none --iptables=false >"$dir/log" 2>&1 &
  engine=$!
  for _ in $(seq 150); do
    if docker -H "unix://$dir/socket" info >/dev/null 2>&1; then status=0; break; fi
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.1
  done
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  [ $status = 0 ] || tail -n 3 "$dir/log" >&2
  rm -rf "$dir"
  return $status
}
[ ${#missing[@]} -gt 0 ] || answers || missing+=("an engine that starts")
[ ${#missing[@]} -eq 0 ] && exit
echo "containers.sh: missing: ${missing[*]}, so NO CONTAINER IS STARTED, and the stories with containers are LEFT OUT (containers::). As root: apt-get install docker.io iproute2" >&2
exit 1
