#!/usr/bin/env bash
# Installs what npm run test:api needs: linters and a proxy for the description, the packages of the example client, and
# Chromium from Debian's packages if it is missing.
set -euo pipefail

for folder in test/api examples/client; do
  # Only after a change, because `npm ci` first removes what is installed.
  if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund
  fi
done

command -v chromium > /dev/null && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo 'Missing: chromium. Install it, or run this as root on Debian.' >&2
  exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium
