#!/usr/bin/env bash
# Debian packages that the tests use: a browser for the UI tests, what the sandbox runs on. The rest of the pipeline
# needs none of them.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need chromium chromium
need make make
need dockerd docker.io
need iptables iptables
need mmdebstrap mmdebstrap
need bwrap bubblewrap
need g++ g++
need node nodejs
need newuidmap uidmap
[ -x /usr/bin/python3 ] || missing+=(python3)
ldconfig -p | grep -q 'libseccomp\.so\.2' || missing+=(libseccomp2)
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
