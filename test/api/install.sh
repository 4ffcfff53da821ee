#!/usr/bin/env bash
# Installs what npm run test:api runs beside the service: the judges of the description, the example's packages, and
# Chromium from Debian's packages where it is missing.
set -euo pipefail

for folder in test/api examples/client; do
  # Not again where nothing has changed: `npm ci` begins by removing what is there.
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
