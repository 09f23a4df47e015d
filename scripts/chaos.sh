#!/usr/bin/env bash
# The long suites: hours of them, so in pieces. What passed at this commit is not run again; see logs/chaos/.
#
#   scripts/chaos.sh [--minutes N] [--fresh] [--workers N] [SUITE…]      SUITE: a folder of tests/, or a test id
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/_setup.sh

"$(find_uv)" sync --quiet --locked --python "$(find_python)"
exec .venv/bin/python -m scripts.chaos.main "$@"
