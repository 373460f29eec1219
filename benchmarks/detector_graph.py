"""What it takes to quantize TF1 detectors of 13,000 nodes, stage by stage, and how fast they run.

    PYTHONPATH=. .venv/bin/python benchmarks/detector_graph.py --output=result.json

The graphs are those of `lpot_examples.testing.detectors`: the form and size of the published
ssd_resnet50_fpn (640 × 640) and ssd_mobilenet_v1 (300 × 300), and two-stage networks like
faster_rcnn_resnet101 (600) and mask_rcnn (800), with random weights. Where
``neural_compressor`` can be imported, it quantizes the same graphs with its defaults.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# Neural Compressor makes ops that exist with oneDNN alone, so all run with it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

PREPARE = ("load", "index", "fold", "shapes", "groups", "planner")
COLUMNS = (
    "network", "nodes", "int8 convolutions", "boundaries", "prepare s", "calibrate s", "rewrite s",
    "next rewrite s", "first run s", "all s", "fp32 ms", "int8 ms", "int8 / fp32", "NC s", "NC ms",
    "NC / fp32",
)  # fmt: skip


class Stages:
    """Wall-clock and CPU seconds by stage."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = time.perf_counter() - wall
        self.cpu[name] = time.process_time() - cpu


def main() -> None:
    """Run and print."""
    from lpot_examples.testing.detectors import FULL_SIZE

    options = _options(list(FULL_SIZE))
    installed = importlib.util.find_spec("neural_compressor") is not None
    if not installed:
        print("neural_compressor is not installed here; its columns stay empty.", file=sys.stderr)
    rows = []
    for name in options.network:
        with tempfile.TemporaryDirectory() as folder:
            compare = installed and not options.no_neural_compressor
            rows.append(measure(name, options, Path(folder), compare=compare))
    print(table(rows))
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


def measure(
    name: str, options: argparse.Namespace, folder: Path, *, compare: bool
) -> dict[str, Any]:
    """Quantize and time one detector."""
    from lpot_examples.backends.tensorflow.model import load_model
    from lpot_examples.testing.detectors import FULL_SIZE, build_detector, output_names

    spec = FULL_SIZE[name]
    fp32, int8 = folder / "fp32.pb", folder / "int8.pb"
    graph_def = build_detector(spec)
    fp32.write_bytes(graph_def.SerializeToString())
    images = _images(options.images, spec.size)
    row: dict[str, Any] = {"network": name, "nodes": len(graph_def.node), "images": len(images)}
    row |= quantize(fp32, int8, images)
    files = {"fp32": fp32, "int8": int8}
    if compare:
        files["NC"] = folder / "nc.pb"
        names = output_names(spec)
        row["NC s"] = quantize_with_neural_compressor(fp32, files["NC"], images, outputs=names)
    names = output_names(spec)
    models = {key: load_model(path, outputs=names) for key, path in files.items()}
    row |= latency({key: lambda m=model: m(images[:1]) for key, model in models.items()}, options)
    for key in list(files)[1:]:
        row[f"{key} / fp32"] = row[f"{key} ms"] / row["fp32 ms"]
    return row


def quantize(source: Path, target: Path, images: Any) -> dict[str, Any]:
    """Take a file through our compiler; return figures."""
    from lpot_examples.backends.tensorflow.calibrate import collect
    from lpot_examples.backends.tensorflow.emit import Emitter
    from lpot_examples.backends.tensorflow.graphdef import Graph
    from lpot_examples.backends.tensorflow.groups import find_groups
    from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
    from lpot_examples.backends.tensorflow.passes import clean
    from lpot_examples.backends.tensorflow.shapes import Shapes
    from lpot_examples.backends.tensorflow.sources import observed_tensors
    from lpot_examples.graph import TuningConfig
    from lpot_examples.host import INSTRUCTION_SETS, host_info

    stages = Stages()
    with stages.stage("load"):
        model = load_model(source)
    names = {"inputs": model.input_names, "outputs": model.output_names}
    with stages.stage("index"):
        graph = Graph(model.graph_def, **names)
        graph.remove_unreachable()
    with stages.stage("fold"):
        report = clean(graph)
    with stages.stage("shapes"):
        shapes = Shapes(graph)
    with stages.stage("groups"):
        grouping = find_groups(graph, shapes)
    with stages.stage("planner"):
        isa = INSTRUCTION_SETS[host_info().isa]
        emitter = Emitter(graph, grouping, shapes, isa)
    with stages.stage("calibrate"):
        groups = grouping.compute.values()
        tensors = observed_tensors(graph, groups)
        channels = sorted({*tensors, *(group.source for group in groups)})
        batches = [{model.input_names[0]: image[None]} for image in images]
        part = graph.to_graph_def([*channels, *graph.inputs])
        sizes = [len(images)]
        found = collect(part, tensors, batches, sizes=sizes, channel_tensors=channels)
    statistics = found[len(images)]
    with stages.stage("rewrite"):
        emitter.emit(TuningConfig(), statistics)
    first = sorted(grouping.compute)[:1]
    with stages.stage("next rewrite"):
        emitter.emit(TuningConfig(fp32=frozenset(first)), statistics)
    emitted = emitter.emit(TuningConfig(), statistics)
    result = TensorFlowModel(emitted.graph_def, **names, fast_start=True)
    with stages.stage("first run"):
        result(images[:1])
    with stages.stage("write"):
        result.save(target)
    left = Counter(node.op for node in emitted.graph_def.node)
    return {
        "groups": len(grouping.described),
        "int8 convolutions": len(emitted.plan.groups),
        "fused sums": len(emitted.plan.sums),
        "boundaries": len(emitted.plan.boundaries),
        "boundary tensors": list(emitted.plan.boundaries),
        "dequantized": left["Dequantize"],
        "passes": report.applied,
        "wall s": stages.wall,
        "cpu s": stages.cpu,
        "prepare s": sum(stages.wall[name] for name in PREPARE),
        "all s": sum(stages.wall.values()),
        **{f"{name} s": stages.wall[name] for name in ("calibrate", "rewrite", "next rewrite")},
        "first run s": stages.wall["first run"],
    }


def quantize_with_neural_compressor(
    source: Path, target: Path, images: Any, *, outputs: Sequence[str]
) -> float:
    """Let Neural Compressor quantize a file with its defaults; return seconds."""
    from neural_compressor.tensorflow import Model, StaticQuantConfig, quantize_model

    from lpot_examples.testing.detectors import INPUT

    class Loader:
        batch_size = 1

        def __iter__(self) -> Iterator[tuple[Any, int]]:
            return ((image[None], 0) for image in images)

        def __len__(self) -> int:
            return len(images)

    started = time.perf_counter()
    model = Model(str(source))
    model.input_tensor_names, model.output_tensor_names = [INPUT], list(outputs)
    made = quantize_model(model, StaticQuantConfig(), Loader(), calib_iteration=len(images))
    target.write_bytes(made.graph_def.SerializeToString())
    return time.perf_counter() - started


def latency(runs: dict[str, Callable[[], Any]], options: argparse.Namespace) -> dict[str, float]:
    """Time models in turns; return median milliseconds."""
    from lpot_examples.benchmark import interleaved

    schedule = interleaved.Schedule(
        warmup=2, rounds=options.rounds, turn_seconds=1.0, max_seconds=300.0
    )
    found = interleaved.measure(runs, schedule=schedule)
    return {f"{name} ms": stats.p50 for name, stats in found.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the figures as text, one line per network."""
    lines = [COLUMNS, *([_text(row.get(column)) for column in COLUMNS] for row in rows)]
    widths = [max(len(cell) for cell in cells) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _images(count: int, size: int) -> Any:
    """Return smooth random photographs, uint8 [count, size, size, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, size // 20, size // 20, 3))
    noise = rng.integers(-20, 21, (count, size, size, 3))
    return np.clip(coarse.repeat(20, 1).repeat(20, 2) + noise, 0, 255).astype(np.uint8)


def _options(networks: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", action="append", choices=networks, help="default: all")
    parser.add_argument("--images", type=int, default=4, help="calibration images")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of the latency measurement")
    parser.add_argument("--no-neural-compressor", action="store_true")
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    options.network = options.network or networks
    return options


if __name__ == "__main__":
    main()
