#!/usr/bin/env bash
# Set up everything the package, its tools and its tests need, in .venv. Run again, it does nothing.
#
#   make setup            CPU operators of mmcv, or CUDA operators where there is an NVIDIA GPU
#   make setup CUDA=1     CUDA operators on a machine without a GPU too; CUDA=0: never
#   .ci/setup.sh --check  only say whether the set-up is complete (exit status 0 or 1)
#
# Environment variables, or `make setup NAME=value`:
#   PYTHON           the interpreter to make .venv with (python3.11, else python3)
#   VENV             the virtual environment (.venv)
#   TORCH_INDEX_URL  where torch and torchvision come from, for example a CPU-only index
#   MMCV_FIND_LINKS  where to look for a prebuilt mmcv wheel; `none` builds at once
#   TORCH_CUDA_ARCH_LIST, CUDA_HOME, MAX_JOBS, CFLAGS   read by mmcv's build; PIP_…: by pip
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=$(realpath -ms "${VENV:-.venv}")
PY=$VENV/bin/python
STATE=$VENV/.hrnet_mm # what the set-up did, and its logs
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

stop() {
    printf 'set-up stopped: %s\n' "$*" >&2
    exit 1
}

pin() { grep -E "^$1==" requirements.txt; }

# The cause of a failed step in words, where its log shows a known one.
cause() {
    while IFS='|' read -r pattern words; do
        ! grep -qE "${pattern//\~/|}" "$1" || { echo "$words" && return; }
    done <<'KNOWN'
No space left on device|the disk is full; free some space
NewConnectionError~ConnectTimeout~Read timed out~ProxyError~Network is unreachable~Connection (refused~reset)|no network to the package index; connect, or name another one (PIP_INDEX_URL, TORCH_INDEX_URL)
No matching distribution found|the package index lacks a pinned version; choose another index (PIP_INDEX_URL, TORCH_INDEX_URL)
Killed signal terminated~Cannot allocate memory|the compiler ran out of memory; set MAX_JOBS=1
detected CUDA version|nvcc and torch are of different CUDA versions; set CUDA_HOME to an nvcc that fits, or CUDA=0
KNOWN
    echo 'the log says why'
}

# step NAME COMMAND…: run a command into a log of its own.
step() {
    local log=$STATE/$1.log
    "${@:2}" >"$log" 2>&1 || stop "$1 failed: $(cause "$log"), then run it again (log: $log)"
}

# All that the set-up depends on; a change in any of it makes it run again.
fingerprint() {
    { cat requirements.txt setup.py hrnet_mm/version.py .ci/{setup.sh,environment.py}; echo "${TORCH_INDEX_URL:-} ${CUDA:-} $PWD"; } | git hash-object --stdin
}

complete() { [[ -x $PY && -f $STATE/stamp && $(<"$STATE/stamp") == "$(fingerprint)" ]]; }

make_venv() {
    local python problem
    python=${PYTHON:-$(type -P python3.11 || type -P python3)} || stop 'no Python on the PATH; install Python 3.11'
    problem=$("$python" .ci/environment.py problem 2>/dev/null) || problem='does not run, or is older than 3.11'
    [[ -z $problem ]] || stop "$python $problem; install Python 3.11 or 3.12, or name one with PYTHON="
    echo 'int main() {}' | ${CXX:-c++} -x c++ -fsyntax-only - 2>/dev/null ||
        stop "no working C++ compiler (${CXX:-c++}) for mmcv's operators; install one (Debian: apt install build-essential)"
    (($(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }') >= 9)) || stop "less than 9 GB free under $PWD; free some space"
    "$python" -m venv "$VENV" || stop "$python cannot make virtual environments (Debian: apt install python3-venv)"
    mkdir -p "$STATE"
}

# cpu or cuda: how mmcv's operators are wanted.
operators() {
    case ${CUDA:-} in
        0) echo cpu ;;
        1) echo cuda ;;
        *) "$PY" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")' ;;
    esac
}

# The toolkit of torch's own CUDA version: the system's, else a compiler that comes as wheels.
find_toolkit() {
    local version home
    version=$("$PY" -c 'import torch; print(torch.version.cuda or "")')
    [[ -n $version ]] || stop 'this torch is built without CUDA; choose another index (TORCH_INDEX_URL), or CUDA=0'
    for home in ${CUDA_HOME:-/usr/local/cuda "$(dirname "$(dirname "$(realpath "$(type -P nvcc || echo nvcc)")")")"}; do
        if [[ -f $home/include/cusparse.h ]] && "$home/bin/nvcc" --version | grep -q "release $version"; then break; fi
        home=''
    done
    if [[ -z $home ]]; then
        [[ -z ${CUDA_HOME:-} ]] || stop "CUDA_HOME=$CUDA_HOME is no toolkit of CUDA $version, as torch is; unset it, or CUDA=0"
        [[ $version == 13.* ]] || stop "no toolkit of CUDA $version, as torch is, on this machine; set CUDA_HOME, or CUDA=0"
        # all of one minor version: left to itself, pip mixes them
        step nvcc "$PY" -m pip install "nvidia-cuda-nvcc==$version.*" "nvidia-cuda-crt==$version.*" \
            "nvidia-nvvm==$version.*" "nvidia-cuda-cccl==$version.*"
        home=$("$PY" .ci/environment.py cuda_home)
    fi
    export CUDA_HOME=$home FORCE_CUDA=1
    export TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST:-$("$PY" .ci/environment.py architectures)}
}

install_mmcv() {
    local kind links cache
    kind=$(operators)
    export FORCE_CUDA=0 MMCV_WITH_OPS=1 CFLAGS=${CFLAGS:--O1 -g0} MAX_JOBS=${MAX_JOBS:-$(nproc)}
    if [[ ${MMCV_FIND_LINKS:-} != none && ${CUDA:-} != 1 ]]; then
        links=${MMCV_FIND_LINKS:-$("$PY" -W ignore .ci/environment.py wheel_links)}
        "$PY" -m pip install --no-deps --no-index --only-binary :all: --timeout 5 --retries 0 \
            --find-links "$links" "$(pin mmcv)" >"$STATE/mmcv_wheel.log" 2>&1 || true
        ! "$PY" .ci/environment.py operators "$kind" 2>/dev/null || return 0
    fi
    [[ $kind == cpu ]] || find_toolkit
    # newer torch's headers need C++20, and mmcv asks for C++17
    ! "$PY" .ci/environment.py cpp20 || export CXX_BEHIND=${CXX:-c++} CXX=$PWD/.ci/c++20
    echo "      building mmcv's $kind operators${TORCH_CUDA_ARCH_LIST:+ for $TORCH_CUDA_ARCH_LIST by $CUDA_HOME}: 5 to 40 minutes, seconds where pip kept them"
    # a cache of their own: pip's key names neither torch nor the kind
    cache=$("$PY" -m pip cache dir)/hrnet_mm-$(pin torch)-$kind-${TORCH_CUDA_ARCH_LIST:-}
    step mmcv env PIP_CACHE_DIR="$cache" "$PY" -m pip install --no-deps --no-build-isolation --force-reinstall "$(pin mmcv)"
    "$PY" .ci/environment.py operators "$kind" || stop "mmcv was built, but without $kind operators (log: $STATE/mmcv.log)"
}

main() {
    if complete; then echo "Set-up is complete: $VENV" && return; fi
    [[ ${1:-} != --check ]] || exit 1
    [[ ! -e $VENV || -d $STATE ]] || stop "$VENV was not made by this set-up; choose another folder with VENV="
    echo '[1/4] Python environment' && [[ -d $STATE ]] || make_venv
    echo '[2/4] Pinned packages, and torch (5 GB where it brings CUDA): 1 to 5 minutes'
    grep -vE '^(torch|torchvision|mmcv|xtcocotools)==' requirements.txt >"$STATE/wheels.txt"
    step packages "$PY" -m pip install --no-deps -r "$STATE/wheels.txt"
    step torch "$PY" -m pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$(pin torch)" "$(pin torchvision)"
    echo "[3/4] Compiled packages: xtcocotools, mmcv's operators"
    # its wheel was built for numpy 1
    "$PY" -c 'import xtcocotools.coco' 2>/dev/null ||
        step xtcocotools "$PY" -m pip install --no-deps --no-build-isolation --no-binary xtcocotools --force-reinstall "$(pin xtcocotools)"
    "$PY" -W ignore .ci/environment.py operators "$(operators)" 2>/dev/null || install_mmcv
    echo '[4/4] hrnet_mm itself, and whether everything imports'
    step hrnet_mm "$PY" -m pip install --no-deps --no-build-isolation --editable .
    "$PY" -W ignore .ci/environment.py prove 2>"$STATE/prove.log" || stop "$(tail -n 1 "$STATE/prove.log") (log: $STATE/prove.log)"
    fingerprint >"$STATE/stamp"
    printf 'Set-up is complete after %d min %02d s: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$VENV"
}

main "$@"
