# Shared by the scripts beside it: finds a Python, and makes .venv with what was asked for. To be sourced, in bash.
# shellcheck shell=bash

export UV_PYTHON_DOWNLOADS=${UV_PYTHON_DOWNLOADS:-never}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "ModelCall needs Python 3.11 or newer, and found none: install it, then start this again." >&2
    return 2
}

# Prints the path of uv; installs it into the private folder .uv if the machine has none.
find_uv() {
    local python
    if command -v uv; then
        return
    fi
    if [[ ! -x .uv/bin/uv ]]; then
        python=$(find_python) || return
        echo "Installing uv into .uv …" >&2
        "$python" -m venv .uv >&2
        .uv/bin/python -m pip install --quiet --disable-pip-version-check uv >&2
    fi
    echo "$PWD/.uv/bin/uv"
}

# Makes .venv with the package alone, by pip, unless it is there.
set_up_package() {
    local python
    if .venv/bin/python -c 'import modelcall' 2>/dev/null; then
        return
    fi
    python=$(find_python) || return
    echo "Setting up .venv (about a minute) …" >&2
    "$python" -m venv .venv >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e . >&2
}

# Becomes modelcall: that of the active environment, else of .venv here or beside the scripts, else by uv.
exec_modelcall() {
    local beside
    beside=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
    if command -v modelcall >/dev/null; then
        exec modelcall "$@"
    elif [[ -x .venv/bin/modelcall ]]; then
        exec .venv/bin/modelcall "$@"
    elif [[ -x $beside/.venv/bin/modelcall ]]; then
        exec "$beside/.venv/bin/modelcall" "$@"
    elif command -v uv >/dev/null; then
        exec uv run --quiet --project "$beside" modelcall "$@"
    fi
    echo "modelcall is not installed: run uv sync, or see the README." >&2
    exit 2
}
