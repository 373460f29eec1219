"""What the calibration pass costs beside plain fp32 inference over the same images.

In one process and in turns, from opening the session to the last batch: the network as given with
TensorFlow's own options, the network after clean-up with the options of trials, and the calibration
pass. The images are seeded noise and in memory, so that reading them costs nothing anywhere. Peak
memory is what a pass adds to the process, above what it held before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

KERAS = {"resnet50": "ResNet50", "mobilenet_v2": "MobileNetV2", "inception_v3": "InceptionV3"}
HEADER = "network batch images | seconds: given cleaned calibration | ratio to given (CPU time) | "
HEADER += "ratio to cleaned (CPU time) | peak MB: given cleaned calibration"

Batch = dict[str, Any]
Pass = Callable[[Sequence[Batch]], None]


@dataclass(frozen=True)
class Cost:
    """What one pass cost: wall and CPU seconds, and peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Run and print."""
    options = _options()
    rows = []
    print(HEADER)
    for path, name in networks(options.network, options.data):
        for batch in options.batch:
            for images in options.images:
                row = compare(path, name, batch=batch, images=images, rounds=options.rounds)
                rows.append(row)
                print(line(row), flush=True)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


def compare(path: Path, name: str, *, batch: int, images: int, rounds: int) -> dict[str, Any]:
    """Run the three passes in turns; one pass of each beforehand is not counted."""
    from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
    from lpot_examples.backends.tensorflow.model import load_model
    from lpot_examples.host import INSTRUCTION_SETS, host_info

    model = load_model(path)
    backend = TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])
    ((source, (shape, _)),) = backend.input_spec.items()
    assert shape is not None
    pixels = [size or 1 for size in shape[1:]]
    noise = np.random.default_rng(0).normal(0, 1, (batch, *pixels)).astype(np.float32)
    batches = [{source: noise + np.float32(i % 7 / 10)} for i in range(min(8, images // batch))]
    batches = (batches * (images // batch))[: images // batch]

    passes: dict[str, Pass] = {
        "given": lambda given: _plain(model.graph_def, model.output_names, given, fast=False),
        "cleaned": lambda given: _plain(
            backend._graph.to_graph_def(), model.output_names, given, fast=True
        ),
        "calibration": lambda given: backend.calibrate(given, sizes=[images]) and None,
    }
    for run in passes.values():
        run(batches[:1])
    costs: dict[str, list[Cost]] = {key: [] for key in passes}
    for _ in range(rounds):
        for key, run in passes.items():
            costs[key].append(_cost(run, batches))
    found = {key: _median(several) for key, several in costs.items()}
    made = found["calibration"]
    return {
        "network": name, "batch": batch, "images": images, "rounds": rounds,
        **{key: asdict(cost) for key, cost in found.items()},
        **{
            f"{kind}_ratio_to_{key}": getattr(made, kind) / getattr(found[key], kind)
            for key in ("given", "cleaned") for kind in ("wall", "cpu")
        },
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""
    keys = ("given", "cleaned", "calibration")
    return (
        f"{row['network']} {row['batch']} {row['images']} | "
        + " ".join(f"{row[key]['wall']:.2f}" for key in keys)
        + f" | {row['wall_ratio_to_given']:.2f} ({row['cpu_ratio_to_given']:.2f})"
        + f" | {row['wall_ratio_to_cleaned']:.2f} ({row['cpu_ratio_to_cleaned']:.2f}) | "
        + " ".join(f"{row[key]['peak']:.0f}" for key in keys)
    )


def networks(wanted: Sequence[str], data: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield frozen networks and their names; those that are brought need ``data``."""
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            if name in KERAS:
                yield _frozen(name, Path(folder)), name
            elif data is not None:
                yield data / "models" / f"{name}.pb", name


def _frozen(name: str, folder: Path) -> Path:
    """Write a network of seeded random weights, its batch-norms made to do something."""
    from lpot_examples.backends.tensorflow.keras_export import freeze_keras
    from lpot_examples.backends.tensorflow.runtime import import_tensorflow

    keras, rng = import_tensorflow().keras, np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, KERAS[name])(weights=None)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, part.shape) for part in layer.get_weights()])
    frozen = freeze_keras(model, input_name="input", output_names=("output",))
    return frozen.save(folder / f"{name}.pb")


def _plain(graph_def: Any, outputs: Sequence[str], batches: Sequence[Batch], *, fast: bool) -> None:
    from lpot_examples.backends.tensorflow.model import TensorFlowModel

    model = TensorFlowModel(graph_def, outputs=outputs, fast_start=fast)
    for batch in batches:
        model(batch)
    model.close()


def _cost(run: Pass, batches: Sequence[Batch]) -> Cost:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from the present
    before, wall, cpu = _memory("VmRSS"), time.perf_counter(), time.process_time()
    run(batches)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(wall, cpu, max(0.0, _memory("VmHWM") - before))


def _memory(key: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in status if one.startswith(key)) / 1024


def _median(costs: Sequence[Cost]) -> Cost:
    columns = zip(*(asdict(cost).values() for cost in costs), strict=True)
    return Cost(*(statistics.median(column) for column in columns))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    everything = [*KERAS, "fastestdet"]
    parser.add_argument("--network", nargs="+", default=everything, choices=everything)
    parser.add_argument("--images", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=os.environ.get("LPOT_REAL_DATA"))
    parser.add_argument("--output", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    options.data = Path(options.data) if options.data else None
    return options


if __name__ == "__main__":
    main()
