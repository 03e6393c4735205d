#!/usr/bin/env bash
# Runs the Autobahn WebSocket test suite against the echo endpoint, first without compression and
# then with it, which takes some ten minutes. Fails on every failed case, and on every one that is
# passed less than strictly and not listed so in non_strict.txt. `python` on PATH is to be one that
# has portward; the suite itself needs a Python 2.7 beside it, and without one nothing is run.
#
#   tests/conformance/run.sh
#   CASES="1.* 7.*" tests/conformance/run.sh   # only these cases, in both runs
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
work="$root/build/conformance"
gateway=""

stop_gateway() {
    if [ -n "$gateway" ]; then
        kill "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
        gateway=""
    fi
}
trap stop_gateway EXIT

find_python2() {
    local candidate
    for candidate in "$(command -v python2.7 || true)" "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
        # A pyenv shim exists even where no version is chosen that has the program.
        if [ -x "$candidate" ] && "$candidate" -c "" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

install_suite() {
    local python2
    if [ -f "$work/.installed" ] && [ "$work/.installed" -nt "$here/requirements.txt" ]; then
        return
    fi
    python2="$(find_python2)"
    if [ -z "$python2" ]; then
        echo "conformance: SKIPPED. The Autobahn suite runs on Python 2.7 only, and none was found."
        exit 0
    fi
    echo "conformance: installing the Autobahn suite into $work, once"
    rm -rf "$work"
    mkdir -p "$work"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    {
        "$python2" -m pip install --quiet --target "$work/tools" virtualenv==20.15.1
        PYTHONPATH="$work/tools" "$python2" -m virtualenv --quiet "$work/python2"
        "$work/python2/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
    } >"$work/install.log" 2>&1 || {
        tail -n 20 "$work/install.log" >&2
        echo "conformance: the Autobahn suite could not be installed" >&2
        exit 1
    }
    touch "$work/.installed"
}

free_port() {
    python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_gateway() { # COMPRESSION PORT LOG
    PORTWARD_SERVER__PORT="$2" PORTWARD_SERVER__ADMIN_PORT="$(free_port)" \
        PORTWARD_ENDPOINTS__ECHO__COMPRESSION="$1" \
        python -m portward serve --config "$here/portward.toml" >"$3" 2>&1 &
    gateway=$!
    for _ in $(seq 200); do
        if ! kill -0 "$gateway" 2>/dev/null; then
            break
        fi
        if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    tail -n 20 "$3" >&2
    echo "conformance: the gateway did not start" >&2
    exit 1
}

run_suite() { # NAME COMPRESSION CASES
    local name="$1" compression="$2" cases="$3" port
    port="$(free_port)"
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    start_gateway "$compression" "$port" "$work/$name/gateway.log"
    echo "conformance: $name"
    python "$here/cases.py" "$work/$name" "ws://127.0.0.1:$port/echo" "$cases" >"$work/$name/spec.json"
    "$work/python2/bin/wstest" --mode fuzzingclient --spec "$work/$name/spec.json" \
        >"$work/$name/suite.log" 2>&1 || {
        tail -n 20 "$work/$name/suite.log" >&2
        echo "conformance: the suite itself failed" >&2
        exit 1
    }
    if ! kill -0 "$gateway" 2>/dev/null; then
        tail -n 20 "$work/$name/gateway.log" >&2
        echo "conformance: the gateway did not survive" >&2
        exit 1
    fi
    stop_gateway
    python "$here/verdict.py" "$name" "$work/$name/index.json" "$here/non_strict.txt"
}

install_suite
status=0
run_suite plain false "${CASES:-plain}" || status=1
run_suite deflate true "${CASES:-deflate}" || status=1
exit "$status"
