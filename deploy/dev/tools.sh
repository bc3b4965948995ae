#!/usr/bin/env bash
# Sees to the tools that a task needs: tools.sh build|test|browser|demo|bench|fidelity. What is missing is installed when this runs as root,
# otherwise the one command is printed and the task stops. With WAYBILL_ALL_TOOLS=1 that goes for what `test` leaves out otherwise, too.
set -euo pipefail
task=${1:?build, test, browser, demo, bench or fidelity}
packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }

# A compiler alone does not link: the C library's start files come in a package of their own.
printf 'int main(void) { return 0; }' | cc -x c -o /dev/null - >/dev/null 2>&1 || packages+=(gcc libc6-dev)
need python3 python3
need curl curl
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
case $task in
  build)
    # The advisories are an archive that is read as a repository.
    need xz xz-utils
    need git git
    ;;
  browser)
    "$(dirname "$0")/console.sh" node
    [ -x "${WAYBILL_CHROMIUM:-/usr/bin/chromium}" ] || packages+=(chromium)
    ;;
  demo)
    [ -z "${WAYBILL_DEMO_SOURCE:-}" ] || need psql postgresql-client
    ;;
  test|bench|fidelity)
    need openssl openssl
    # The shell has a `kill` of its own, which tests and fault points can't call.
    [ -n "$(type -P kill)" ] || packages+=(procps)
    need ip iproute2
    need groff groff-base
    [ "$task" != test ] || need strace strace
    need psql postgresql-client
    [ "$task" != test ] || [ -x /usr/sbin/sshd ] || packages+=(openssh-server openssh-client)
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages+=(postgresql postgresql-contrib)
    if [ "$task" = test ] && [ -n "${WAYBILL_ALL_TOOLS:-}" ]; then
      need node nodejs
      need npm npm
      need dockerd docker.io
      need podman podman
      need runc runc
      need setpriv util-linux
    fi
    command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || packages+=(mariadb-server)
    [ "$task" != test ] || ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 || packages+=(postgresql-postgis)
    ;;
esac
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "installing: ${packages[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >&2
  else
    echo "missing tools; run: sudo apt-get install -y --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
fi
if [ "$task" = test ] && [ -n "${WAYBILL_ALL_TOOLS:-}" ] && ! command -v terraform >/dev/null 2>&1; then
  echo "missing: Terraform 1.9 or newer, which no package brings (https://developer.hashicorp.com/terraform/install)" >&2
  exit 1
fi
command -v cargo >/dev/null 2>&1 || { echo "missing: Rust 1.95 or newer with cargo (see rustup's site)" >&2; exit 1; }
if [ "$task" = test ] && ! command -v cargo-nextest >/dev/null 2>&1; then
  python=$("$(dirname "$0")/python.sh" nextest)
  mkdir -p "${CARGO_HOME:-$HOME/.cargo}/bin"
  ln -sf "$(dirname "$python")/cargo-nextest" "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-nextest"
fi
