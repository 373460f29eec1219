#!/usr/bin/env bash
# Check everything: lint, types, tests. Arguments go to pytest: bash run_tests.sh tests/spec -x
# --quick leaves the tests marked slow out. --no-venv uses the active environment.
# Makes or completes .venv at the first run.
# Tests run in as many processes as there are cores (four at most); those marked alone follow by
# themselves. Files and single tests run in one process, as does everything with -n0, -p, -s, --pdb
# or --junit-xml.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
    target=$(readlink -- "$self")
    case $target in /*) self=$target ;; *) self=$(dirname -- "$self")/$target ;; esac
done
. "$(dirname -- "$self")/scripts/environment.sh"

use_environment dev "$@"

# pytest's exit code when nothing was selected.
nothing=5

options=()
only_files=
whole=
stop=
for argument in ${arguments[@]+"${arguments[@]}"}; do
    if [ -d "$argument" ]; then
        only_files=no
    elif [ -f "${argument%%::*}" ]; then
        only_files=${only_files:-yes}
    fi
    case $argument in
        -n* | -p* | -s | --pdb | --junit*) whole=yes ;;
        -x | --exitfirst | --maxfail*) stop=yes ;;
    esac
    case $argument in
        --quick) options+=(-m "not slow") ;;
        /*) options+=("$argument") ;;
        # The tools below read their configuration in the clone, so paths from elsewhere are made
        # absolute.
        *) if [ "$PWD" != "$root" ] && [ -e "${argument%%::*}" ]; then argument=$PWD/$argument; fi
            options+=("$argument") ;;
    esac
done
cd -- "$root"

failed=0
check() {
    printf '== %s\n' "$1"
    shift
    "$python" -P -m "$@" || failed=1
}

check_tests() {
    local beside=0 alone=0
    printf '== pytest, in several processes\n'
    "$python" -P -m pytest -n auto --dist=loadfile --no-loadscope-reorder --alone=without "$@" ||
        beside=$?
    case $beside in
        0 | "$nothing") ;;
        1) failed=1; [ -z "$stop" ] || return 0 ;;
        *) failed=1; return 0 ;; # interrupted, or an option it does not know
    esac
    printf '== pytest, tests that run alone\n'
    "$python" -P -m pytest --alone=only "$@" || alone=$?
    case $alone in
        0) ;;
        "$nothing") [ "$beside" != "$nothing" ] || failed=1 ;;
        *) failed=1 ;;
    esac
}

check "ruff check" ruff check
check "mypy" mypy
if [ "$only_files" = yes ] || [ -n "$whole" ]; then
    check "pytest" pytest ${options[@]+"${options[@]}"}
else
    check_tests ${options[@]+"${options[@]}"}
fi
exit "$failed"
