#!/bin/bash
# Writes the lock files anew from pyproject.toml: every package pinned, every wheel by its hash, no address.
#
#   lock.sh [UV_OPTION...]     for example: lock.sh --upgrade-package aiohttp
set -euo pipefail
cd "$(dirname "$0")/.."
UV=${UV:-$(command -v uv || true)}
[ -n "$UV" ] || { echo "uv is needed to make locks: pip install uv, or set UV=/path/to/uv." >&2; exit 1; }

EXTRAS=(--extra postgresql --extra mysql --extra ldap --extra redis --extra erasure --extra cname)

compile() { # lock file, then what goes into it
    local lock=$1
    shift
    "$UV" pip compile --quiet --no-header --no-annotate --generate-hashes --only-binary :all: --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --output-file "$lock" "$@"
    if grep -nE '://|^ *-[^-]|^ *--[^h]' "$lock"; then echo "$lock holds an address" >&2; exit 1; fi
    echo "$lock: $(grep -c == "$lock") packages"
}

build=$(mktemp --suffix=.in)
trap 'rm -f "$build"' EXIT
echo 'setuptools>=77' >"$build" # installs Maldon itself, and is the build system of pyproject.toml
compile requirements.lock pyproject.toml "$build" "${EXTRAS[@]}" "$@"
compile requirements-test.lock pyproject.toml "$build" "${EXTRAS[@]}" --extra test -c requirements.lock "$@"
python3 - >"$build" <<'PYTHON'
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["clients"], sep="\n")
PYTHON
compile requirements-clients.lock "$build" "$@"
compile requirements-swift.lock setup/swift-tests.in "$@"
