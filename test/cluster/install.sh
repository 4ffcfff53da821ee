#!/usr/bin/env bash
# Installs the missing programs of the cluster tests from Debian's packages, and starts none of them as a service.
set -euo pipefail

missing=()
for pair in haproxy:haproxy pgbouncer:pgbouncer patroni:patroni etcd:etcd-server openssl:openssl setpriv:util-linux slowhttptest:slowhttptest postfix:postfix nginx:nginx-light caddy:caddy; do
  command -v "${pair%%:*}" > /dev/null || missing+=("${pair##*:}")
done
compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null || missing+=(postgresql)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Install them, or run this as root on Debian." >&2
  exit 1
fi

# With this file, Debian does not start the services of new packages (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
