#!/usr/bin/env bash
# Starts the worker IMAGE as a task: the emulator that enforces IAM, a real container engine, and the launch role of the rendered
# grants. containers.sh DIRECTORY-WITH-BINARIES. Root only; Debian's docker.io and iptables are needed. Engine and emulator have
# directories of their own, are ended by their own process ids, and the packet filter is put back as it was.
set -euo pipefail
binaries=$(cd "${1:?a directory with waybill-worker}" && pwd)
cd "$(dirname "$0")/../../.."
[ "$(id -u)" = 0 ] || { echo "containers.sh: only root can start a container engine" >&2; exit 2; }
for tool in dockerd iptables-save terraform; do
  command -v "$tool" >/dev/null || { echo "containers.sh: $tool is missing (apt-get install docker.io iptables; Terraform from HashiCorp)" >&2; exit 2; }
done
! ip link show docker0 >/dev/null 2>&1 || { echo "containers.sh: docker0 is there, so an engine runs already, whose bridge this would take; stop that engine first" >&2; exit 2; }
python=$(deploy/dev/python.sh grants)
work=$(mktemp -d "${TMPDIR:-/tmp}/waybill-containers.XXXXXX")
iptables-save > "$work/filter"
engine= emulator=
finish() {
  status=$?
  for process in $emulator $engine; do kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true; done
  ip link delete docker0 2>/dev/null || true
  # What the engine adds is taken away: a table that held nothing before is emptied, the others are put back.
  for table in nat filter; do
    grep -qx "\*$table" "$work/filter" || { iptables -t "$table" -F; iptables -t "$table" -X; }
  done
  grep -qx '\*filter' "$work/filter" || iptables -P FORWARD ACCEPT
  iptables-restore < "$work/filter"
  [ $status = 0 ] || tail -n 30 "$work"/*.log >&2
  rm -rf "$work" 2>/dev/null || true
  exit $status
}
trap finish EXIT

# A bridge of this run's own, chosen so that several runs do not meet.
net=10.89.$(( $$ % 250 + 1 ))
cat > "$work/daemon.json" <<JSON
{"data-root": "$work/data", "exec-root": "$work/exec", "pidfile": "$work/pid", "hosts": ["unix://$work/docker.sock"],
 "bip": "$net.1/24", "group": "root", "storage-driver": "vfs"}
JSON
dockerd --config-file "$work/daemon.json" > "$work/engine.log" 2>&1 &
engine=$!
for _ in $(seq 300); do [ -S "$work/docker.sock" ] && docker -H "unix://$work/docker.sock" info >/dev/null 2>&1 && break; sleep 0.1; done
export DOCKER_HOST=unix://$work/docker.sock
python3 deploy/images/build.py --level 1 --binaries "$binaries" --out "$work/images" worker
docker load --quiet --input "$work/images/worker.tar"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
iptables -t nat -I PREROUTING -i docker0 -d 169.254.170.2/32 -p tcp -j DNAT --to-destination "$net.1"
env AUTH=true IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 BIND_HOST="$net.1" GATEWAY_PORT="$port" MINISTACK_REGION=eu-west-1 HOME="$work" \
  "$python" deploy/dev/emulator/aws.py > "$work/emulator.log" 2>&1 &
emulator=$!
for _ in $(seq 300); do curl -s -o /dev/null "http://$net.1:$port/_ministack/health" && break; sleep 0.1; done
"$python" deploy/dev/emulator/containers.py "http://$net.1:$port"
