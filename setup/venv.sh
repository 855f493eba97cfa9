#!/bin/bash
# Makes or completes a virtual environment from a lock file; says nothing when it is complete.
#
#   venv.sh DIRECTORY LOCK [PROJECT]
#
# Every package comes by its hash, as a wheel. PROJECT, a source directory, is installed editable by the setuptools of
# the lock. What is done is noted in the environment itself under the hash of what it was done from.
set -euo pipefail
venv=$1 lock=$2 project=${3:-}
PYTHON=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0 PYTHONDONTWRITEBYTECODE=

hash_of() { cat "$@" | sha256sum | cut -c1-16; }
done_already() { [ -e "$venv/.done-$1" ] && [ -x "$venv/bin/python" ]; }
note() { rm -f "$venv/.done-${1%%-*}"-*; : >"$venv/.done-$1"; }
pip() { "$venv/bin/python" -m pip install -qq --no-input --no-deps --no-compile "$@"; }

packages=$(basename "$lock" .lock | tr - _)-$(hash_of "$lock" "$0")
if ! done_already "$packages"; then
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "Maldon needs Python 3.11 or later, and $PYTHON is older: set PYTHON=/path/to/python3." >&2; exit 1; }
    echo "$venv: $(grep -c == "$lock") packages of $lock"
    "$PYTHON" -m venv "$venv"
    pip --require-hashes --only-binary :all: -r "$lock"
    "$venv/bin/python" -m compileall -q -j 0 "$venv"/lib/python3.*/site-packages >/dev/null || true # pip would use one core
    note "$packages"
fi

[ -n "$project" ] || exit 0
sources=project-$(hash_of "$project/pyproject.toml" "$0")
if ! done_already "$sources"; then
    echo "$venv: $project"
    pip --no-build-isolation --editable "$project"
    note "$sources"
fi
