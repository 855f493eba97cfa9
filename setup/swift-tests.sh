#!/bin/bash
# Unpacks the tests of Swift's source distribution into a directory; says nothing when they are there.
#
#   swift-tests.sh DIRECTORY VENV
#
# Only the folder test/ is taken: what they import of Swift itself is installed in VENV.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 venv=$2 lock=setup/swift-sdist.lock
mark=$folder/.done-$(sha256sum <"$lock" | cut -c1-16)
[ ! -e "$mark" ] || exit 0

echo "$folder: Swift's functional tests"
rm -rf "$folder"
mkdir -p "$folder"
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" -m pip download -qq --no-input --no-deps --no-build-isolation --no-binary :all: \
    --require-hashes -r "$lock" -d "$folder"
tar -xzf "$folder"/swift-*.tar.gz -C "$folder" --strip-components 1 --wildcards 'swift-*/test'
rm "$folder"/swift-*.tar.gz
: >"$mark"
