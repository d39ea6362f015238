#!/usr/bin/env bash
# Make .venv ready: scripts/setup.sh [dev]. Does nothing where the stamp of the last run still fits.
#
# llama.cpp is compiled (minutes) while pip fetches the rest (minutes): the two run side by side.
# RACONTEUR_CUDA=1 builds it for an NVIDIA GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

flavour="${1:-app}"
python="${PYTHON:-python3}"
wheels=".cache/wheels"
llama="$(grep '^llama-cpp-python==' requirements.txt)"

log() { echo "setup: $*" >&2; }

# System packages, where they are missing and we may install them.
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        log "installing $2"
        apt-get install -y -qq "$2" >/dev/null 2>&1 ||
            { apt-get update -qq >/dev/null && apt-get install -y -qq "$2" >/dev/null; }
    else
        log "'$1' is missing; install the system package '$2' and run again"
        exit 1
    fi
}

build_llama() {
    local cmake_args="-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF"
    cmake_args+=" -DCMAKE_PROJECT_llama.cpp_INCLUDE=$PWD/scripts/llama.cmake"
    [ "${RACONTEUR_CUDA:-0}" != 1 ] || cmake_args+=" -DGGML_CUDA=on"
    # pip's cache does not know one build's options from another's, nor one processor's: each has its own.
    local build
    build="$(cat scripts/llama.cmake <(echo "${RACONTEUR_CUDA:-0}"; grep -m1 '^flags' /proc/cpuinfo) | sha256sum)"
    CMAKE_ARGS="$cmake_args" .venv/bin/python -m pip wheel -q --disable-pip-version-check --no-deps \
        --cache-dir "${XDG_CACHE_HOME:-$HOME/.cache}/raconteur/llama-${build:0:16}" -w "$wheels" "$llama"
}

pip_install() { .venv/bin/python -m pip install -q --disable-pip-version-check "$@"; }

stamp_of() { cat "$@" scripts/setup.sh scripts/llama.cmake <(echo "cuda=${RACONTEUR_CUDA:-0}") | sha256sum; }

fits() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

app_stamp="$(stamp_of requirements.txt)"
if ! fits .venv/.app-stamp "$app_stamp"; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { log "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
    need cmake cmake
    need g++ g++
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    mkdir -p "$wheels"
    rm -f "$wheels"/llama_cpp_python-*.whl
    log "compiling llama.cpp and installing packages side by side (minutes, once)"
    build_llama &
    build=$!
    trap 'kill "$build" 2>/dev/null || true' EXIT
    grep -v '^llama-cpp-python==' requirements.txt >.cache/requirements.txt
    pip_install -r .cache/requirements.txt
    wait "$build"
    trap - EXIT
    pip_install --force-reinstall --no-deps "$wheels"/llama_cpp_python-*.whl
    pip_install -r requirements.txt # what llama-cpp-python asks for besides
    echo "$app_stamp" >.venv/.app-stamp
fi

if [ "$flavour" = dev ]; then
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || need chromium chromium
    dev_stamp="$(stamp_of requirements.txt requirements-dev.txt)"
    if ! fits .venv/.dev-stamp "$dev_stamp"; then
        log "installing what tests and checks need"
        pip_install -r requirements-dev.txt
        echo "$dev_stamp" >.venv/.dev-stamp
    fi
fi
