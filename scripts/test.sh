#!/usr/bin/env bash
# Set-up, then all checks and tests. Needs only Python 3.11 or newer. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/_setup.sh

step() { printf '\n== %s\n' "$*"; }

uv=$(find_uv)
step "environment"
"$uv" sync --locked --python "$(find_python)"
run() { .venv/bin/python -m "$@"; }

step "format" && run ruff format --check .
step "lint" && run ruff check .
step "types" && run mypy
step "layers" && .venv/bin/lint-imports --no-logo
step "tests" && run pytest --numprocesses 2 --dist worksteal --durations 10 "$@"
