#!/usr/bin/env bash
# Set-up, then `modelcall demo`: the main job on this machine, without a key and without a network. Needs only
# Python 3.11 or newer with venv and pip. Further arguments go to the demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/_setup.sh

set_up_package
exec .venv/bin/modelcall demo "$@"
