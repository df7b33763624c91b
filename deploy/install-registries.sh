#!/bin/sh
# Installs the real registry and the foreign client that the demo and the tests use, where that can be done.
set -eu
missing=""
for tool in docker-registry skopeo; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    # The registry must not start a daemon of its own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "not installed:$missing (as root on Debian: apt-get install$missing)" >&2
fi
