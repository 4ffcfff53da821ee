#!/usr/bin/env bash
# Installs what npm run test:api runs beside the service: the judges of the description, the example's packages, and
# Chromium from Debian's packages where it is missing.
set -euo pipefail

npm ci --prefix test/api --ignore-scripts --no-audit --no-fund
npm ci --prefix examples/client --ignore-scripts --no-audit --no-fund
npm ci --prefix examples/resource-server --ignore-scripts --no-audit --no-fund

command -v chromium > /dev/null && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo 'Missing: chromium. Install it, or run this as root on Debian.' >&2
  exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium
