#!/usr/bin/env bash
# Installs what npm run test:api needs: linters and a proxy for the description, the packages of the example client, and
# from Debian's packages, if they are missing, Chromium and oathtool, which makes the codes of authenticator apps.
set -euo pipefail

for folder in test/api examples/client; do
  # Only after a change, because `npm ci` first removes what is installed.
  if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund
  fi
done

missing=()
for package in chromium oathtool; do
  command -v "$package" > /dev/null || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Install them, or run this as root on Debian." >&2
  exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
