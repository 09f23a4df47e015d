#!/usr/bin/env bash
# ModelCall against servers that others wrote: LiteLLM's proxy, and llama.cpp's server with a tiny model of random
# weights made on the spot. Opt-in: it installs both over the network into .interop/, which takes ten minutes the first
# time (llama.cpp is compiled); all traffic of the checks stays on 127.0.0.1. Exits 0 only if every check held.
#   ./scripts/interop.sh                    # both
#   ./scripts/interop.sh litellm            # one of them: litellm or llama
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/_setup.sh

halves=("$@")
if (($# == 0)); then halves=(litellm llama); fi

# Nothing here is to leave the machine: no proxy, no telemetry, no list of prices from the network.
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
export LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_TELEMETRY=False

# install NAME MODULE REQUIREMENT…: makes .interop/NAME unless MODULE can be imported there.
install() {
    local name=$1 module=$2
    shift 2
    if ".interop/$name/bin/python" -c "import $module" 2>/dev/null; then
        return
    fi
    echo "Installing $* into .interop/$name …" >&2
    mkdir -p .interop
    "$(find_python)" -m venv --clear ".interop/$name" >&2
    CMAKE_BUILD_PARALLEL_LEVEL=2 nice -n 19 ".interop/$name/bin/python" -m pip install --quiet \
        --disable-pip-version-check "$@" >".interop/$name.log" 2>&1
}

set_up_package
arguments=()
for half in "${halves[@]}"; do
    case $half in
        litellm) requirements=(litellm.proxy.proxy_server 'litellm[proxy]') ;;
        llama) requirements=(llama_cpp.server.app 'llama-cpp-python[server]' gguf) ;;
        *) echo "interop.sh: unknown server \"$half\"; write litellm, llama, or nothing for both" >&2; exit 2 ;;
    esac
    if install "$half" "${requirements[@]}"; then
        arguments+=("--run" "$half")
    else
        arguments+=("--missing" "$half")
    fi
done
exec .venv/bin/python -m scripts.interop.main "${arguments[@]}"
