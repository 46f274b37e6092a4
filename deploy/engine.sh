#!/usr/bin/env bash
# Starts a Docker engine where none answers, and leaves the machine's firewall and network alone: the sandbox's
# containers have no network. Usage: deploy/engine.sh [start|stop] [folder of its state]
set -euo pipefail
command=${1:-start}
state=${2:-/var/lib/kimi-engine}
host=${DOCKER_HOST:-unix:///var/run/docker.sock}
pid_file=$state/engine.pid

answers() { timeout 10 docker -H "$host" version >/dev/null 2>&1; }

as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)

if [ "$command" = stop ]; then
    pid=$("${as_root[@]}" cat "$pid_file" 2>/dev/null) || exit 0
    # a file that a killed engine left may name anybody's process by now
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || { "${as_root[@]}" rm -f "$pid_file"; exit 0; }
    "${as_root[@]}" kill "$pid"
    for _ in $(seq 300); do [ -f "$pid_file" ] || exit 0; sleep 0.1; done
    echo "the engine (process $pid) does not end" >&2
    exit 1
fi
if answers; then
    echo "an engine answers at $host"
    exit 0
fi
case $host in unix://*) ;; *) echo "no engine answers at $host (DOCKER_HOST)" >&2; exit 1 ;; esac
"${as_root[@]}" mkdir -p "$state" "$(dirname "${host#unix://}")"
"${as_root[@]}" setsid --fork dockerd \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bridge=none \
    --data-root "$state/data" --exec-root "$state/exec" --pidfile "$pid_file" -H "$host" \
    </dev/null >"${TMPDIR:-/tmp}/kimi-engine.log" 2>&1
for _ in $(seq 300); do
    if answers; then
        echo "engine started at $host"
        exit 0
    fi
    sleep 0.1
done
echo "no engine after 30 s; its log:" >&2
tail -n 20 "${TMPDIR:-/tmp}/kimi-engine.log" >&2
exit 1
