#!/usr/bin/env bash
# Kills workers, server and PostgreSQL (kill -9) under load, again and again, and then checks every acknowledged start, step and finish.
# ./dev crash-test --simulate [KILLS]    default 12; about 10 s each
set -euo pipefail
kills=${1:-12}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d /tmp/flowstone-crash.XXXXXX)
chmod 755 "$work"
export FLOWSTONE_DATA="$work/data"
flowstone="$here/flowstone"
port=$((20000 + RANDOM % 20000))
server= workers= session=0

cleanup() {
    { # the shell reports what it kills
    for pid in $server $workers; do kill -9 "$pid" 2>/dev/null || true; wait "$pid"; done; } 2>/dev/null || true
    # The next command joins what is left of PostgreSQL, and stops it as the last one out.
    "$flowstone" health >/dev/null 2>&1 || true
    [ "${failed:-1}" -eq 0 ] && rm -rf "$work" || echo "Left for a look: $work"
}
trap cleanup EXIT

# With bash alone: a bare Debian has no curl.
is_ready() {
    local status
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    read -r _ status _ <&3
    exec 3>&-
    [ "$status" = 200 ]
}

start_server() {
    "$flowstone" up --port "$port" --no-demo >>"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 120); do
        is_ready 2>/dev/null && return
        kill -0 "$server" 2>/dev/null || { tail -n 20 "$work/server.log"; exit 1; }
        sleep 0.5
    done
    echo "The server did not become ready."; tail -n 20 "$work/server.log"; exit 1
}

start_workers() {
    session=$((session + 1))
    "$flowstone" simulate --duration 3600 --workers 16 --lease 5 --seed "$session" --journal "$work/$session.journal" >"$work/$session.log" 2>&1 &
    workers=$!
}

"$flowstone" import n8n "$here/tests/Flowstone.Tests/Fixtures/n8n" 2>/dev/null
start_server
start_workers
for i in $(seq "$kills"); do
    sleep "$((3 + RANDOM % 4)).$((RANDOM % 10))"
    case $((i % 3)) in
        0) echo "kill $i: workers";  kill -9 "$workers"; wait "$workers" 2>/dev/null || true; start_workers ;;
        1) echo "kill $i: PostgreSQL"; kill -9 "$(head -n 1 "$FLOWSTONE_DATA/postgres/data/postmaster.pid")" ;;
        2) echo "kill $i: server";   kill -9 "$server"; wait "$server" 2>/dev/null || true; start_server ;;
    esac
    kill -0 "$workers" 2>/dev/null || { echo "The workers gave up:"; tail -n 20 "$work/$session.log"; exit 1; }
done
sleep 3
echo "last: everything at once"
kill -9 "$workers" "$server" "$(head -n 1 "$FLOWSTONE_DATA/postgres/data/postmaster.pid")"
wait "$workers" "$server" 2>/dev/null || true
workers=

start_server
failed=0
for journal in "$work"/*.journal; do
    "$flowstone" simulate --check "$journal" --workers 16 --lease 5 || failed=1
done
[ "$failed" -eq 0 ] && echo "All acknowledged work of $session sessions is there, after $((kills + 3)) kills." || echo "Something acknowledged is missing or doubled: see above."
exit "$failed"
