#!/usr/bin/env bash
# Says whether tests can have a small disk (`disk`), a memory limit of the kernel's (`memory`), users (`users`) or network namespaces (`netns`) of
# their own here, and follow the calls of a program (`trace`). Fails, and says which tests are left out: with 1 where this machine allows none, with 2 where only a tool is missing.
set -euo pipefail
# tool NAME PACKAGE TESTS
tool() {
  command -v "$1" >/dev/null && return
  echo "limits.sh: $1 is missing, so these tests are LEFT OUT: $3. As root: apt-get install $2" >&2
  exit 2
}
case $1 in
  disk)
    tool unshare util-linux full_disk
    if [ "$(id -u)" = 0 ]; then flags=-m; else flags=-Urm; fi
    dir=$(mktemp -d)
    trap 'rmdir "$dir"' EXIT
    unshare "$flags" mount -t tmpfs -o size=64k tmpfs "$dir" 2>/dev/null && exit
    echo "limits.sh: this machine allows no mount, so NO DISK IS FILLED: the stories of full disks are LEFT OUT (full_disk)" >&2
    ;;
  netns)
    tool ip iproute2 'agent::cut and agent::egress'
    tool unshare util-linux 'agent::cut and agent::egress'
    if [ "$(id -u)" = 0 ]; then
      own=waybill-probe-$$
      trap 'ip netns del "$own" 2>/dev/null || true' EXIT
      # To be there is not enough: within a plain chroot nothing can be done in it.
      ip netns add "$own" 2>/dev/null && ip -n "$own" link set lo up 2>/dev/null && exit
    else
      unshare -Urnm sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && ip netns add probe' 2>/dev/null && exit
    fi
    echo "limits.sh: this machine allows no network namespace, so NO WAY IS CUT AND NO BYTE IS COUNTED: agent::cut and agent::egress are LEFT OUT" >&2
    ;;
  users)
    tool setpriv util-linux a_user_of_its_own
    [ "$(id -u)" = 0 ] && exit
    echo "limits.sh: only root gives workers users of their own: a_user_of_its_own is LEFT OUT" >&2
    ;;
  trace)
    tool strace strace f40
    strace -qq -o /dev/null true 2>/dev/null && exit
    echo "limits.sh: this machine lets no program follow another's calls, so NO POWER IS CUT: f40 is LEFT OUT" >&2
    ;;
  memory)
    group=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
    if [ -n "$group" ]; then parent=/sys/fs/cgroup/memory$group file=memory.limit_in_bytes
    else parent=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup) file=memory.max; fi
    own=$parent/waybill-probe-$$
    if mkdir "$own" 2>/dev/null; then
      trap 'rmdir "$own"' EXIT
      echo 67108864 2>/dev/null >"$own/$file" && exit
    fi
    echo "limits.sh: this machine allows no control group with a memory limit, so THE KERNEL ENDS NO WORKER: f41_the_kernel_ends is LEFT OUT" >&2
    ;;
esac
exit 1
