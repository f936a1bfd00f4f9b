# What the checks of this folder have in common; they source it as bash. As root on Debian it installs what is missing, and
# else a check that lacks a tool says NOT RUN: exit 0, and 1 with MERX_REQUIRE_SERVICES=1.
# shellcheck shell=bash

check=$(basename "$0")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

not_run() {
    echo "$check NOT RUN: $1"
    [ "${MERX_REQUIRE_SERVICES:-0}" != 1 ]
    exit
}

# debian PACKAGE…: installs them.
debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || not_run "missing; install it first: sudo apt-get install $*"
    echo "$check: installing $*" >&2
    local install=(apt-get install -y --no-install-recommends "$@")
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" >/dev/null 2>&1 || { apt-get update && "${install[@]}"; } >&2 || not_run "apt-get cannot install $*"
}

# need COMMAND [PACKAGE]: gets the package unless the command is there.
need() { command -v "$1" >/dev/null || debian "${2:-$1}"; }

# python_with DIR REQUIREMENT…: a Python environment at DIR with them, as pip names them.
python_with() {
    local dir=$1 log
    shift
    need python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
    [ -x "$dir/bin/pip" ] || python3 -m venv --clear "$dir" || not_run "python3 cannot make an environment"
    log=$("$dir/bin/pip" install --quiet --disable-pip-version-check "$@" 2>&1) || not_run "pip cannot install $*: $log"
}

# What a check needs of Node. Debian 12 has Node 18, which lacks globals that jose and alipay-sdk use: npm has a newer one.
NODE=20.19.5
node_20() {
    local log own=$target/node/node_modules/node/bin
    need node nodejs
    need npm
    [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ] || return 0
    if ! "$own/node" --version >/dev/null 2>&1; then
        echo "$check: fetching Node $NODE" >&2
        log=$(npm install --no-audit --no-fund --prefix "$target/node" "node@$NODE" 2>&1) || not_run "npm cannot install Node: $log"
    fi
    PATH=$own:$PATH
}

# node_modules DIR: node, and the packages that DIR/package-lock.json names.
node_modules() {
    local log
    node_20
    [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
    log=$(npm ci --no-audit --no-fund --prefix "$1" 2>&1) || not_run "npm cannot install: $(tail -3 <<<"$log")"
}

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# shop FLAG…: a shop with demo data in a folder of its own, ended with the check. Sets work, merx and url. The binary is
# what cargo builds, or MERX_BIN.
shop() {
    need python3
    need curl
    merx=${MERX_BIN:-}
    [ -n "$merx" ] || { cargo build --quiet --locked -p merx-server && merx=$target/debug/merx; }
    work=$(mktemp -d)
    # Another build may replace the file while the shop runs.
    cp "$merx" "$work/merx" && merx=$work/merx
    url=http://127.0.0.1:$(port)
    "$merx" up --data "$work/data" --listen "${url#http://}" --sandbox-listen "127.0.0.1:$(port)" \
        --mail-listen "127.0.0.1:$(port)" --grpc-listen "127.0.0.1:$(port)" "$@" >"$work/merx.log" 2>&1 &
    shop=$!
    trap 'kill "$shop" 2>/dev/null || true; wait "$shop" 2>/dev/null || true; rm -rf "$work"' EXIT
    for _ in $(seq 600); do
        ! curl -sf "$url/readyz" >/dev/null || return 0
        kill -0 "$shop" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/merx.log"
    return 1
}
