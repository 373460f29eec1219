# shellcheck shell=bash
# Sourced by run_tuning.sh, run_benchmark.sh and run_tests.sh. After
#
#     use_environment runtime|dev "$@"
#
# (what some arguments ask for is added, see _extra_of),
# `python` is an interpreter with everything that is needed, `arguments` holds the user's arguments
# without those that are meant for this file (--no-venv), `root` is the clone, and Python finds the
# package from any directory. When .venv is complete nothing is asked of pip.
#
# .venv is complete when it holds a stamp for the current requirements (see environment.py). The
# file .venv/.installing marks an installation under way; if one is found without its process,
# .venv is made anew.

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
requirements=()
python=
arguments=()

use_environment() {
    local level=$1 own=yes
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --) arguments+=("$@"); break ;;
            --no-venv) own=no ;;
            --engine=* | --runtime=*)
                level=$(_with_extra "$level" "${1%%=*}" "${1#*=}")
                arguments+=("$1")
                ;;
            --engine | --runtime)
                level=$(_with_extra "$level" "$1" "${2:-}")
                arguments+=("$1")
                ;;
            *) arguments+=("$1") ;;
        esac
        shift
    done
    _set_requirements "$level"
    if [ "$own" = yes ]; then
        _use_own "$level"
    else
        _use_active
    fi
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
}

# The extra of pyproject.toml that an option asks for; its packages are in requirements-<extra>.txt.
_extra_of() {
    case $1,${2// /}, in
        --engine,neural_compressor,) printf neural_compressor ;;
        --runtime,*,openvino,* | --runtime,openvino,*) printf openvino ;;
    esac
}

# A level is runtime, dev, or runtime with an extra, by the extra's name.
_with_extra() {
    local extra
    extra=$(_extra_of "$2" "$3")
    if [ "$1" = dev ]; then printf dev; else printf '%s' "${extra:-$1}"; fi
}

_set_requirements() {
    requirements=("$root/requirements.txt")
    case $1 in
        runtime) ;;
        # Tests run on every runtime.
        dev) requirements+=("$root/requirements-dev.txt" "$root/requirements-openvino.txt") ;;
        *) requirements+=("$root/requirements-${1//_/-}.txt") ;;
    esac
}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

_use_active() {
    local candidate missing
    for candidate in ${PYTHON:+"$PYTHON"} python python3; do
        if _supported "$candidate"; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "--no-venv needs an active environment with Python 3.11, 3.12 or 3.13;" \
        "found $(_found ${PYTHON:+"$PYTHON"} python python3). Activate one, or leave --no-venv out."
    missing=$("$python" "$root/scripts/environment.py" missing "${requirements[@]}")
    [ -z "$missing" ] || fail "the active environment," \
        "$("$python" -c 'import sys; print(sys.prefix)'), lacks packages. Add them with" \
        "'$python -m pip install $missing', or leave --no-venv out."
}

_use_own() {
    python=$venv/bin/python
    if _complete "$1"; then return; fi
    _check_machine
    local base
    base=$(_find_python) || exit 1
    _lock "$base"
    # Whoever held the lock may have done the work.
    if ! _complete "$1"; then _install "$1" "$base"; fi
    exec 9>&-
}

_complete() {
    _set_requirements "$1"
    [ -f "$venv/.complete-$1" ] && [ "$(_stamp)" = "$(cat "$venv/.complete-$1")" ] && _wanted_version
}

_write_stamp() {
    _set_requirements "$1"
    _stamp >"$venv/.stamp"
    mv "$venv/.stamp" "$venv/.complete-$1"
}

_stamp() { "$python" -I -S "$root/scripts/environment.py" stamp "${requirements[@]}" 2>/dev/null; }

# Whether .venv is of the Python that the user asked for, if any.
_wanted_version() {
    [ -z "${PYTHON:-}" ] || [ "$(_version "$PYTHON")" = "$(_version "$python")" ]
}

_version() { "$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

_supported() {
    case $(_version "$1") in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac
}

_found() {
    local candidate version list=
    for candidate in "$@"; do
        version=$(_version "$candidate") && list="$list${list:+, }$candidate ($version)"
    done
    printf '%s' "${list:-none}"
}

# TensorFlow's int8 kernels exist in its Linux x86-64 build, which needs AVX.
_check_machine() {
    case "$(uname -s) $(uname -m)" in
        "Linux x86_64") ;;
        *) fail "Linux on an x86-64 CPU is required; this is $(uname -s) on $(uname -m)." \
            "(--no-venv uses an environment of your own, at your risk.)" ;;
    esac
    ! [ -r /proc/cpuinfo ] || grep -qw avx /proc/cpuinfo ||
        fail "a CPU with AVX is required; TensorFlow does not run on this one."
}

_find_python() {
    local candidate without_pip=
    local candidates=(python3.13 python3.12 python3.11 python3 python)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        _supported "$candidate" || continue
        if _can_make_venv "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
        without_pip=${without_pip:-$candidate}
    done
    [ -z "$without_pip" ] || fail "$without_pip can make no virtual environment: it has neither" \
        "ensurepip nor pip. On Debian and Ubuntu, install python$(_version "$without_pip")-venv."
    fail "Python 3.11, 3.12 or 3.13 is required; found $(_found "${candidates[@]}")." \
        "Install one, or name it: PYTHON=/path/to/python3.12 bash ${0##*/} …"
}

_can_make_venv() {
    "$1" -I -c 'import venv' 2>/dev/null || return 1
    "$1" -I -c 'import ensurepip' 2>/dev/null || _has_pip "$1"
}

_has_pip() { "$1" -I -m pip --version >/dev/null 2>&1; }

# Holds an exclusive lock, through file descriptor 9, until that is closed or everyone who inherited
# it is dead. Python takes it, because flock(1) is not everywhere.
_lock() {
    local take='import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | int(sys.argv[1]))'
    { exec 9>"$root/.venv.lock"; } 2>/dev/null ||
        fail "cannot write in $root. Make it writable, or use --no-venv."
    if ! "$1" -I -c "$take" 4 2>/dev/null; then # 4 is LOCK_NB
        say "Another run is installing into .venv; waiting for it…"
        "$1" -I -c "$take" 0
    fi
}

_install() {
    trap 'say "Interrupted. The next run starts the installation anew."; exit 130' INT TERM
    if [ -e "$venv/.installing" ] || ! _supported "$python" || ! _has_pip "$python" ||
        ! _wanted_version; then
        _make_venv "$2"
    fi
    # What is complete stays so: the requirements of all levels agree (tests/test_packaging.py).
    local level kept=() what="TensorFlow and friends into .venv (once; about 700 MB download)"
    for level in runtime dev neural_compressor openvino; do
        if [ "$level" != "$1" ] && _complete "$level"; then kept+=("$level"); fi
    done
    case "$1 ${kept[*]-}" in
        "neural_compressor runtime"*) what="Neural Compressor into .venv (once; a few MB)" ;;
        "openvino runtime"*) what="OpenVINO into .venv (once; about 60 MB)" ;;
        "dev runtime"*) what="what tests need into .venv (once; about 100 MB)" ;;
    esac
    _set_requirements "$1"
    rm -f "$venv"/.complete-*
    : >"$venv/.installing"
    say "Installing $what…"
    local file options=()
    for file in "${requirements[@]}"; do options+=(-r "$file"); done
    # -I: packages on a user's PYTHONPATH must not count as installed.
    PIP_USER=no "$python" -I -m pip install --no-input --disable-pip-version-check \
        --progress-bar off "${options[@]}" >"$venv/install.log" 2>&1 ||
        _show_log "the installation failed"
    _write_stamp "$1"
    # What the tests need includes what the commands need.
    [ "$1" = runtime ] || _write_stamp runtime
    [ "$1" != dev ] || _write_stamp openvino
    for level in ${kept[@]+"${kept[@]}"}; do _write_stamp "$level"; done
    rm -f "$venv/.installing"
    trap - INT TERM
}

_make_venv() {
    local log=$root/.venv.log
    # Debian's Python may lack ensurepip; its pip can then fill the environment from outside.
    if "$1" -I -c 'import ensurepip' 2>/dev/null; then
        "$1" -I -m venv --clear "$venv" >"$log" 2>&1
    else
        "$1" -I -m venv --clear --without-pip "$venv" >"$log" 2>&1 &&
            "$1" -I -m pip --python "$python" install pip >>"$log" 2>&1
    fi || { tail -n 15 "$log" >&2; fail "cannot make $venv."; }
    rm -f "$log"
}

_show_log() {
    say "… the end of .venv/install.log:"
    tail -n 15 "$venv/install.log" >&2
    fail "$1. Run the same command again to continue; $venv/install.log has the whole output."
}
