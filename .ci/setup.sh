#!/usr/bin/env bash
# Set up everything the package, its tools and its tests need, in .venv.
#
#   make setup                    the usual way
#   make setup STACK=onedl        the maintained forks of the OpenMMLab packages, in .venv-onedl
#   .ci/setup.sh --check          only say whether the set-up is complete (exit status 0 or 1)
#
# Chosen by environment variables (or `make setup NAME=value`):
#   PYTHON           the interpreter to make .venv with (python3.11, else python3)
#   STACK            `default` or `onedl`: which lock, requirements.txt or requirements-onedl.txt
#   VENV             the virtual environment (.venv or .venv-onedl in this checkout)
#   TORCH_INDEX_URL  where torch and torchvision come from, e.g. a CPU-only index
#   MMCV_FIND_LINKS  where to look for a prebuilt mmcv wheel; `none` builds at once
#   MAX_JOBS, CFLAGS, FORCE_CUDA, CUDA_HOME   read by mmcv's own build
#   PIP_…            read by pip
#
# Nothing outside .venv and pip's cache is written, and nothing is removed: a .venv that was
# not made here is used as it is, or left alone with one line saying why.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
STACK=${STACK:-default}
SUFFIX=-$STACK # of the stack's lock and virtual environment; the default one has none
[[ $STACK != default ]] || SUFFIX=''
VENV=${VENV:-.venv$SUFFIX}
[[ $VENV = /* ]] || VENV=$ROOT/$VENV
PY=$VENV/bin/python
STATE=$VENV/.hrnet_mm # the stamp, notes and logs of the set-up
LOCK=$ROOT/requirements$SUFFIX.txt

# What `pip install --no-deps -r requirements.txt` alone would get wrong.
SPECIAL='^(torch|torchvision|(onedl-)?mmcv|xtcocotools)=='
HEARTBEAT_SECONDS=30
GB_NEEDED=9       # .venv takes 5.5, the rest is what pip downloads and keeps
GB_NEEDED_OTHER=4 # with an index of the user's choice, likely CPU-only

unset PYTHONHOME PYTHONPATH
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# --- Talking ---------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

step() { say "[$1/6] $2"; }

stop() {
    printf 'set-up stopped: %s\n' "$*" >&2
    exit 1
}

elapsed() { printf '%d min %02d s' $((SECONDS / 60)) $((SECONDS % 60)); }

# The last "[34/97]" that a compiling ninja wrote into the log.
compiled_so_far() { grep -oE '^ *\[[0-9]+/[0-9]+\]' "$1" 2>/dev/null | tail -n 1 | tr -d ' ' || true; }

heartbeat() {
    local log=$1
    while sleep "$HEARTBEAT_SECONDS" >/dev/null 2>&1; do
        say "      … still at it, $(elapsed) since the start $(compiled_so_far "$log")"
    done
}

# logged NAME COMMAND…: run the command into its own log, with a sign of life now and then.
logged() {
    local log=$STATE/$1.log status=0 beat
    shift
    : >"$log"
    heartbeat "$log" &
    beat=$!
    # shellcheck disable=SC2064  # the process of this very step
    trap "kill $beat 2>/dev/null || true" EXIT
    "$@" >>"$log" 2>&1 || status=$?
    kill "$beat" 2>/dev/null || true
    wait "$beat" 2>/dev/null || true
    trap - EXIT
    return "$status"
}

# The cause of a failed step, in words, where its log shows one that is known.
cause() {
    local log=$1
    if grep -q 'No space left on device' "$log"; then
        echo 'the disk is full; free some space'
    elif grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|ProxyError|Network is unreachable|name resolution|Name or service not known|Connection (refused|reset|aborted)' "$log"; then
        echo 'no network to the package index; connect, or point pip at another one (PIP_INDEX_URL)'
    elif grep -q 'No matching distribution found' "$log"; then
        echo "the package index does not answer, or does not have $(sed -n 's/.*No matching distribution found for //p' "$log" | tail -n 1); check the network, or choose another index (PIP_INDEX_URL, TORCH_INDEX_URL)"
    elif grep -qE 'Killed signal terminated program|out of memory|Cannot allocate memory' "$log"; then
        echo 'the compiler ran out of memory; set MAX_JOBS=1'
    elif grep -qE 'The detected CUDA version|CUDA_HOME environment variable is not set' "$log"; then
        echo "nvcc does not fit this torch; set CUDA_HOME to one that does, or CUDA_VISIBLE_DEVICES='' for the CPU operators"
    else
        echo 'the log says why'
    fi
}

stop_failed() { stop "$2 failed: $(cause "$STATE/$1.log"), then run it again (log: $STATE/$1.log)"; }

# --- Small questions -------------------------------------------------------------------------

pip() { "$PY" -m pip "$@"; }

pinned() { sed -n "s/^$1==//p" "$LOCK"; }

# mmcv as the stack calls it, `mmcv==2.1.0` or `onedl-mmcv==2.3.6`.
mmcv_pin() { grep -E '^(onedl-)?mmcv==' "$LOCK"; }

imports() { "$PY" -W ignore -c "import $1" >/dev/null 2>&1; }

note() { cat "$STATE/$1" 2>/dev/null || true; }

torch_index() { printf '%s' "${TORCH_INDEX_URL:-$(note torch_index)}"; }

# All that the set-up depends on; a change in any of it makes the set-up run again.
fingerprint() {
    {
        cat "$LOCK" setup.py hrnet_mm/version.py .ci/setup.sh .ci/environment.py
        ls -d configs tools model-index.yml 2>/dev/null || true
        "$PY" --version
        torch_index
        pwd
    } | git hash-object --stdin
}

complete() { [[ -x $PY && -f $STATE/stamp && $(note stamp) = "$(fingerprint)" ]]; }

# Compiled wheels get a cache of their own: pip's key for them names neither the torch nor the
# numpy they were built against, and an mmcv without operators may lie there from before.
compiled_cache() {
    local pip_cache
    pip_cache=$(pip cache dir 2>/dev/null) || return 0 # the user switched pip's cache off
    printf '%s/hrnet_mm-torch%s%s' "$pip_cache" "$(pinned torch)" "$1"
}

# --- 1. What must be there -------------------------------------------------------------------

# Prints what is wrong with an interpreter, or nothing. Written for any Python since 2.7.
PROBE='
import os, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
def problem():
    if version not in ("3.11", "3.12"):
        return "is Python %s, and the pinned packages need 3.11 or 3.12" % version
    try:
        import ensurepip, venv
    except ImportError:
        return "cannot make virtual environments (Debian, Ubuntu: apt install python%s-venv)" % version
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        return "comes without its C headers (Debian, Ubuntu: apt install python%s-dev)" % version
    return ""
print(problem())
'

python_problem() { "$1" -c "$PROBE" 2>/dev/null || echo 'does not run'; }

# The interpreters to try, one per line, best first.
python_candidates() {
    if [[ -n ${PYTHON:-} ]]; then
        printf '%s\n' "$PYTHON"
    else
        type -aP python3.11 python3 || true
    fi
}

find_python() {
    local candidate problem first_problem=''
    while IFS= read -r candidate; do
        problem=$(python_problem "$candidate")
        if [[ -z $problem ]]; then
            printf '%s' "$candidate"
            return
        fi
        first_problem=${first_problem:-$candidate $problem}
    done < <(python_candidates)
    stop "${first_problem:-no Python 3.11 on the PATH}; install Python 3.11, or name one with PYTHON=/path/to/python3.11"
}

check_lock() {
    [[ -f $LOCK ]] || stop "STACK=$STACK is not known, and there is no ${LOCK##*/}; choose default or onedl"
}

check_compiler() {
    local compiler=${CXX:-c++}
    # shellcheck disable=SC2086  # CXX may carry options
    echo 'int main() { return 0; }' | $compiler -x c++ -fsyntax-only - >/dev/null 2>&1 ||
        stop "no working C++ compiler ('$compiler'), needed for mmcv's operators; install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++), or name one with CXX="
}

check_disk() {
    local free needed=$GB_NEEDED
    [[ -z $(torch_index) ]] || needed=$GB_NEEDED_OTHER
    free=$(df -Pk "$ROOT" | awk 'NR == 2 { print int($4 / 1048576) }')
    ((free >= needed)) || stop "$free GB free under $ROOT, and about $needed GB are needed; free some space"
}

# Nothing there yet, or a creation that was interrupted.
venv_is_due() { [[ ! -e $VENV ]] || [[ -d $STATE && ! -e $STATE/home ]]; }

check_machine() {
    step 1 'Looking for Python, a C++ compiler and disk space'
    check_compiler
    if venv_is_due; then
        BASE_PYTHON=$(find_python)
        check_disk
    fi
}

# --- 2. The virtual environment --------------------------------------------------------------

create_venv() {
    say "      with $BASE_PYTHON ($("$BASE_PYTHON" --version 2>&1))"
    mkdir -p "$STATE"
    logged venv "$BASE_PYTHON" -m venv "$VENV" || stop_failed venv "making $VENV"
}

check_pip() {
    pip --version >/dev/null 2>&1 || stop "$VENV has no working pip; remove it, or choose another folder with VENV="
}

# Two stacks install different packages under the same import names.
check_stack() {
    local rivals
    rivals=$("$PY" .ci/environment.py rivals "$LOCK")
    [[ -z $rivals ]] || stop "$VENV holds another stack (${rivals//$'\n'/, }); choose another folder with VENV="
}

# A .venv that somebody else made is used only if nothing that is in it has to change.
adopt_venv() {
    local problem changes
    problem=$(python_problem "$PY")
    [[ -z $problem ]] || stop "$VENV is not ours to change, and its Python $problem; choose another folder with VENV="
    changes=$("$PY" .ci/environment.py differences "$LOCK")
    [[ -z $changes ]] || stop "$VENV is not ours to change, and holds other versions (${changes//$'\n'/, }); choose another folder with VENV="
    check_stack
    check_pip
    mkdir -p "$STATE"
    : >"$STATE/adopted"
}

check_own_venv() {
    local home problem
    home=$(note home)
    [[ -z $home || $home = "$ROOT" ]] ||
        stop "$VENV was made for $home and does not survive the move; remove it, or choose another folder with VENV="
    [[ -z ${PYTHON:-} || $("$PYTHON" --version 2>&1) = "$("$PY" --version 2>&1)" ]] ||
        stop "$VENV has $("$PY" --version 2>&1), not $PYTHON; remove it, or choose another folder with VENV="
    problem=$(python_problem "$PY")
    [[ -z $problem ]] || stop "$PY $problem; remove $VENV, or choose another folder with VENV="
    check_stack
}

prepare_venv() {
    step 2 "Virtual environment $VENV"
    if venv_is_due; then
        create_venv
    elif [[ -d $STATE && ! -e $STATE/adopted ]]; then
        check_own_venv
    else
        adopt_venv
    fi
    check_pip
    printf '%s' "$ROOT" >"$STATE/home"
}

# --- 3. Wheels -------------------------------------------------------------------------------

install_wheels() {
    step 3 'Pinned packages (half a minute)'
    grep -vE "$SPECIAL" "$LOCK" >"$STATE/wheels.txt"
    logged wheels "$PY" -m pip install --no-deps -r "$STATE/wheels.txt" || stop_failed wheels 'installing the pinned packages'
}

# --- 4. PyTorch ------------------------------------------------------------------------------

# The other packages that torch needs are there already, at their pinned versions.
install_torch() {
    local index torch torchvision
    index=$(torch_index)
    torch=torch==$(pinned torch)
    torchvision=torchvision==$(pinned torchvision)
    step 4 "PyTorch: $torch, $torchvision${index:+ from $index} (one to five minutes; with CUDA 3 GB to download)"
    if [[ -f $STATE/torch_index && $index != "$(note torch_index)" ]]; then # the index has changed
        logged torch "$PY" -m pip install --index-url "$index" --force-reinstall --no-deps "$torch" "$torchvision" ||
            stop_failed torch 'changing torch'
    fi
    logged torch "$PY" -m pip install ${index:+--index-url "$index"} "$torch" "$torchvision" ||
        stop_failed torch 'installing torch'
    imports 'torch, torchvision.ops' || stop "torch and torchvision do not fit together: let both come from one index (TORCH_INDEX_URL), then run it again"
    printf '%s' "$index" >"$STATE/torch_index"
}

# --- 5. What is compiled here ----------------------------------------------------------------

install_xtcocotools() {
    imports xtcocotools.coco && return
    PIP_CACHE_DIR=$(compiled_cache '') logged xtcocotools "$PY" -m pip install \
        --no-deps --no-build-isolation --use-pep517 --force-reinstall \
        --no-binary xtcocotools "xtcocotools==$(pinned xtcocotools)" ||
        stop_failed xtcocotools 'building xtcocotools'
}

# `cpu`, `cuda`, or `cpu-only` where there is a GPU but no nvcc: how mmcv will be built.
operators_kind() {
    FORCE_CUDA=${FORCE_CUDA:-0} "$PY" -c '
import os, torch
from torch.utils.cpp_extension import CUDA_HOME
wanted = torch.cuda.is_available() or os.environ["FORCE_CUDA"] == "1"
print("cpu" if not wanted else "cuda" if CUDA_HOME else "cpu-only")' 2>/dev/null
}

# Where OpenMMLab keeps its wheels for this torch: mim knows.
wheel_links() {
    "$PY" -W ignore -c '
from mim.commands.install import DEFAULT_MMCV_BASE_URL, get_mmcv_full_find_link
print(get_mmcv_full_find_link(DEFAULT_MMCV_BASE_URL))'
}

prebuilt_mmcv() {
    local links=${MMCV_FIND_LINKS:-}
    [[ $links != none ]] || return 1
    links=${links:-$(wheel_links)}
    say "      looking for a prebuilt mmcv wheel in $links"
    logged mmcv_wheel "$PY" -m pip install --no-deps --no-index --only-binary :all: --force-reinstall \
        --timeout 5 --retries 0 --find-links "$links" "$(mmcv_pin)" || {
        say '      none there'
        return 1
    }
    imports mmcv.ops || {
        say '      the one there does not load with this torch'
        return 1
    }
}

# torch 2.15's headers do not compile in the C++17 that mmcv's build asks for.
needs_cpp20() {
    grep -q 'C++20 or later' "$("$PY" -c 'import torch; print(torch.__path__[0])')/include/ATen/ATen.h"
}

build_mmcv() {
    local kind suffix=''
    kind=$(operators_kind)
    case $kind in
        cuda) suffix=-cuda ;;
        cpu-only)
            say '      there is a GPU, but no nvcc (CUDA_HOME): building the CPU operators'
            export CUDA_VISIBLE_DEVICES='' FORCE_CUDA=0
            ;;
    esac
    if needs_cpp20; then
        export CXX_BEHIND=${CXX:-c++} CXX=$ROOT/.ci/c++20
    fi
    say "      building mmcv's operators (${kind%%-*}) from source: 5 to 15 minutes on 2 cores, seconds where pip kept an earlier build"
    PIP_CACHE_DIR=$(compiled_cache "$suffix") MMCV_WITH_OPS=1 CFLAGS=${CFLAGS:--O2 -g0} \
        MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} logged mmcv "$PY" -m pip install \
        --verbose --no-deps --no-build-isolation --force-reinstall "$(mmcv_pin)" ||
        stop_failed mmcv "building mmcv's operators"
    imports mmcv.ops || stop "mmcv was built, but mmcv.ops does not import: $("$PY" -c 'import mmcv.ops' 2>&1 | tail -n 1) (log: $STATE/mmcv.log)"
}

install_mmcv() {
    local wanted
    wanted="$(mmcv_pin | sed 's/==/ /') for torch $("$PY" -c 'import torch; print(torch.__version__)')"
    if [[ $(note mmcv) != "$wanted" ]] || ! imports mmcv.ops; then
        # In a .venv that came with a working mmcv there is no note yet.
        { [[ ! -f $STATE/mmcv ]] && imports mmcv.ops; } || prebuilt_mmcv || build_mmcv
        printf '%s' "$wanted" >"$STATE/mmcv"
    fi
}

install_compiled() {
    step 5 "Compiled packages: mmcv's operators, xtcocotools"
    install_xtcocotools
    install_mmcv
}

# --- 6. This package, and the proof ----------------------------------------------------------

install_and_prove() {
    step 6 'hrnet_mm itself, and whether everything imports'
    "$PY" .ci/environment.py alias "$LOCK" >/dev/null
    logged hrnet_mm "$PY" -m pip install --no-deps --no-build-isolation --editable . || stop_failed hrnet_mm 'installing hrnet_mm'
    "$PY" -W ignore .ci/environment.py prove "$LOCK" 2>"$STATE/prove.log" ||
        stop "$(tail -n 1 "$STATE/prove.log") (log: $STATE/prove.log)"
}

main() {
    check_lock
    if complete; then
        say "Set-up is complete: $VENV"
        return
    fi
    [[ ${1:-} != --check ]] || exit 1
    say 'Setting up hrnet_mm, 3 to 20 minutes the first time'
    check_machine
    prepare_venv
    install_wheels
    install_torch
    install_compiled
    install_and_prove
    fingerprint >"$STATE/stamp"
    say "Set-up is complete after $(elapsed): $VENV"
}

main "$@"
