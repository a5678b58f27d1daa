#!/usr/bin/env bash
# Makes ready what the benchmark needs: the load generators (a C compiler), and with --peers the servers that it
# measures beside ours, from Debian's packages. What is there already is left as it is.
set -euo pipefail
cd "$(dirname "$0")"

install() {
  # A package of a server starts it when it is installed, unless this file says that it must not.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

if ! command -v cc >/dev/null; then
  if [ "$(id -u)" != 0 ]; then echo "The benchmark needs a C compiler, as cc." >&2 && exit 1; fi
  install gcc libc6-dev
fi
mkdir -p build
for program in load fanout expiry beats hold; do
  sources="generator/$program.c generator/pool.c generator/options.c generator/wire.c"
  newest=$(ls -t $sources generator/*.h | head -n 1)
  if [ "build/$program" -nt "$newest" ]; then continue; fi
  cc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "build/$program" $sources
done

if [ "${1:-}" = --peers ]; then install redis-server etcd-server zookeeper python3; fi
