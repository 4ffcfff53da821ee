#!/usr/bin/env bash
# Installs what npm run test:api needs: linters and a proxy for the description, the packages of the example client, and,
# from Debian's packages, Chromium, oathtool, which makes the codes of authenticator apps, and what runs the programs of
# docs/verify.md.
set -euo pipefail

for folder in test/api examples/client; do
  # Only after a change, because `npm ci` first removes what is installed.
  if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund
  fi
done

missing=()
command -v chromium > /dev/null || missing+=(chromium)
command -v oathtool > /dev/null || missing+=(oathtool)
command -v go > /dev/null || missing+=(golang-go)
/usr/bin/python3 -c 'import jwt, cryptography' 2> /dev/null || missing+=(python3-jwt python3-cryptography)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Install them, or run this as root on Debian." >&2
  # Without Go or Python, the tests of their programs are skipped.
  command -v chromium > /dev/null && command -v oathtool > /dev/null
  exit
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
