#!/usr/bin/env bash
# Measure the accuracy or latency of networks: bash run_benchmark.sh --topology=ssd_shapes
# --runtime=onnxruntime,openvino compares runtimes; OpenVINO is added to .venv for it.
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
exec "$python" -P -m lpot_examples benchmark ${arguments[@]+"${arguments[@]}"}
