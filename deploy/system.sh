#!/usr/bin/env bash
# Debian packages that the tests use: a browser for the UI tests. The pipeline itself needs none of them.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v make >/dev/null || missing+=(make)
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
