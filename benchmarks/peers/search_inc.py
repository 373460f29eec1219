"""Neural Compressor 2.6's tuner on TensorFlow 2.15, Python 3.10: ``python -m peers.search_inc``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from peers.search_peer import Peer, run

_BATCH = 8


class Loader:
    """Calibration data as Neural Compressor takes them: batches of (images, labels)."""

    batch_size = _BATCH

    def __init__(self, images: Any) -> None:
        self._images = images

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield the batches."""
        for start in range(0, len(self._images), _BATCH):
            part = self._images[start : start + _BATCH]
            yield part, [0] * len(part)

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self._images) // _BATCH)


def search(peer: Peer) -> None:
    """Run ``fit`` with the strategy ``basic`` and the bar of the task."""
    import neural_compressor
    import tensorflow as tf
    from neural_compressor import PostTrainingQuantConfig, quantization
    from neural_compressor.config import AccuracyCriterion, TuningCriterion

    task = peer.task
    rows = np.arange(len(peer.validation))
    seen: list[Any] = []

    def evaluate(graph: Any, *, certify: bool = False) -> float:
        if not certify:
            seen.append(None)
            if len(seen) == 2:  # the first is fp32, the second its first int8 network
                write(graph, task["all_int8"])
        return float(peer.score(run(graph), rows, certify=certify)[0])

    def run(graph: Any) -> list[Any]:
        parts = []
        with tf.compat.v1.Session(graph=graph) as session:
            for start in range(0, len(rows), _BATCH):
                feed = {f"{task['inputs'][0]}:0": peer.validation[start : start + _BATCH]}
                parts.append(session.run([f"{name}:0" for name in task["outputs"]], feed))
        return [np.concatenate(port) for port in zip(*parts, strict=True)]

    def write(graph: Any, target: str) -> None:
        Path(target).write_bytes(graph.as_graph_def().SerializeToString())

    config = PostTrainingQuantConfig(
        inputs=task["inputs"],
        outputs=task["outputs"],
        calibration_sampling_size=[len(peer.calibration)],
        accuracy_criterion=AccuracyCriterion(criterion="relative", tolerable_loss=task["bar"]),
        tuning_criterion=TuningCriterion(
            strategy="basic", timeout=0, max_trials=task["max_trials"]
        ),
        quant_level=1,
    )
    started = time.perf_counter()
    made = quantization.fit(
        task["fp32"], config, calib_dataloader=Loader(peer.calibration), eval_func=evaluate
    )
    search_s = time.perf_counter() - started
    versions = {
        "neural_compressor": neural_compressor.__version__,
        "tensorflow": tf.__version__,
    }
    if made is None:
        peer.done(
            failure=f"no model after {len(seen) - 1} trials",
            search_s=search_s,
            wall_s=peer.wall(),
            facts=versions,
        )
        return
    write(made.graph, task["target"])
    wall_s = peer.wall()
    graph = tf.Graph()
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(Path(task["target"]).read_bytes())
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    evaluate(graph, certify=True)
    peer.done(search_s=search_s, wall_s=wall_s, facts=versions)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run(search)
