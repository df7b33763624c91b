#!/bin/sh
# Builds crane and regsync into .cache/bin where Go is there to do it; skopeo comes from the distribution.
set -eu
bin="$(cd "$(dirname "$0")/.." && pwd)/.cache/bin"
install_peer() {
    [ ! -x "$bin/$1" ] || return 0
    if ! command -v go >/dev/null 2>&1; then
        echo "not measured: $1 (it takes Go to build it)" >&2
        return 0
    fi
    echo "building $1"
    GOBIN="$bin" GOFLAGS=-modcacherw go install "$2@latest" || echo "not measured: $1 (it could not be built)" >&2
}
install_peer crane github.com/google/go-containerregistry/cmd/crane
install_peer regsync github.com/regclient/regclient/cmd/regsync
