#!/bin/sh
# Computes both lock files for Python 3.11 to 3.13 on Linux and macOS: requirements.lock is what production installs,
# requirements-dev.lock adds the embedded servers and the tools, at the same versions.
# Existing pins stay where pyproject.toml still allows them; UPGRADE=1 takes the newest.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh
.venv/bin/python -m venv build/lock
build/lock/bin/python -m pip install --quiet --disable-pip-version-check "uv~=0.13"

compile() {
    build/lock/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        ${UPGRADE:+--upgrade} "$@" pyproject.toml
}
compile --extra build --output-file requirements.lock
compile --constraint requirements.lock --extra build --extra embedded --extra dev --output-file requirements-dev.lock
rm -rf build
