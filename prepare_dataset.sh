#!/usr/bin/env bash
# Make TFRecord shards of a data set: bash prepare_dataset.sh --dataset=coco --output_dir=records
# Without --source the public data set is downloaded. See docs/datasets.md.
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
exec "$python" -P -m lpot_examples dataset convert ${arguments[@]+"${arguments[@]}"}
