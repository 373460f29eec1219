#!/usr/bin/env bash
# Check everything: lint, types, tests. Arguments go to pytest: bash run_tests.sh tests/spec -x
# --quick leaves the tests marked slow out. --no-venv uses the active environment.
# Makes or completes .venv at the first run.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
    target=$(readlink -- "$self")
    case $target in /*) self=$target ;; *) self=$(dirname -- "$self")/$target ;; esac
done
. "$(dirname -- "$self")/scripts/environment.sh"

use_environment dev "$@"

options=()
for argument in ${arguments[@]+"${arguments[@]}"}; do
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
check "ruff check" ruff check
check "mypy" mypy
check "pytest" pytest ${options[@]+"${options[@]}"}
exit "$failed"
