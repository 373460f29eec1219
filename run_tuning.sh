#!/usr/bin/env bash
# Turn an fp32 network into a certified int8 one: bash run_tuning.sh --topology=ssd_shapes
# --engine=neural_compressor compares with Neural Compressor, which it adds to .venv.
# Makes .venv at the first run; --no-venv uses the active environment. --help lists the options.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
    target=$(readlink -- "$self")
    case $target in /*) self=$target ;; *) self=$(dirname -- "$self")/$target ;; esac
done
. "$(dirname -- "$self")/scripts/environment.sh"

use_environment runtime "$@"
# -P: files in the current directory must not stand in for modules.
exec "$python" -P -m lpot_examples tune ${arguments[@]+"${arguments[@]}"}
