#!/bin/sh
# Prepares .venv: finds a Python, then lets tools/setup.py do the work. Costs next to nothing when nothing has changed.
set -eu
cd "$(dirname "$0")/.."

wanted="$(pwd -P)
$(cksum requirements-dev.lock pyproject.toml tools/setup.py)"
if [ -x .venv/bin/python ] && [ -f .venv/setup.stamp ] && [ "$(cat .venv/setup.stamp)" = "$wanted" ]; then
    exit 0
fi

suits() { # a Python from 3.11 up to 3.13
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}
whole() { # with what a virtual environment is made of; Debian packs that separately
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

chosen="" incomplete=""
for candidate in "${PYTHON:-python3.13}" python3.13 python3.12 python3.11 python3 python; do
    if suits "$candidate"; then
        if whole "$candidate"; then
            chosen=$candidate
            break
        fi
        incomplete=${incomplete:-$candidate}
    fi
done

if [ -z "$chosen" ] && [ -n "$incomplete" ]; then
    version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "找到了 Python $version，但缺少 venv 组件。Debian / Ubuntu 请执行：sudo apt install python$version-venv，然后重试。" >&2
    echo "Python $version is here, but its venv part is missing. On Debian or Ubuntu: sudo apt install python$version-venv, then try again." >&2
    exit 1
fi
if [ -z "$chosen" ]; then
    echo "需要 Python 3.11、3.12 或 3.13，但在 PATH 中没有找到。请安装其中之一（Debian / Ubuntu：sudo apt install python3 python3-venv；macOS：brew install python@3.13），或用 make setup PYTHON=/路径/python3 指定。" >&2
    echo "Python 3.11, 3.12 or 3.13 is needed and none was found on PATH. Install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.13), or name one: make setup PYTHON=/path/to/python3." >&2
    exit 1
fi
exec "$chosen" -I tools/setup.py "$wanted"
