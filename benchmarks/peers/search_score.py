"""Scores outputs that another environment computed, as the topology's own evaluation does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.result import EvaluationResult, as_result
from peers.search_task import Subject

Outputs = list[NDArray[Any]]


class Scorer:
    """The evaluation of a topology, with its images decoded once.

    Args:
        subject: The network and its data.
        folder: Where the images are written for other environments: ``calibration.npy`` and
            ``validation.npy``, float32 [n, H, W, C].

    Attributes:
        samples: Number of validation images.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        topology = subject.topology
        self._evaluate: Any = topology.eval_func(subject.dataset)
        inputs, batches, done = [], [], 0
        labels = []
        for images, ids in self._evaluate._batches:
            rows = np.arange(done, done + len(images))
            inputs.append(np.asarray(images, np.float32))
            labels.append(np.asarray(ids))
            batches.append((rows, ids))
            done += len(images)
        # From here on the evaluation passes row numbers to the model instead of images.
        self._evaluate._batches = batches
        self.samples = done
        self._labels = np.concatenate(labels)
        np.save(folder / "validation.npy", np.concatenate(inputs))
        calibration = [np.asarray(x, np.float32) for x, _ in topology.q_dataloader(subject.dataset)]
        np.save(folder / "calibration.npy", np.concatenate(calibration)[: _sampling_size(subject)])

    def score(self, outputs: Outputs, rows: NDArray[np.int64]) -> tuple[float, list[float]]:
        """Return the score of some rows, and of each of them alone.

        Args:
            outputs: Every output of the network for these rows, [len(rows), …] each.
            rows: Ascending numbers of validation images.
        """
        result = self._result(outputs, rows)
        if result.resample is not None:
            images = np.argsort(np.argsort(self._labels))[rows]
            values = [result.resample(images[i : i + 1]) for i in range(len(rows))]
            return result.resample(images), values
        assert result.per_sample is not None, "the evaluation gives neither parts nor resample"
        return float(result.per_sample[rows].mean()), result.per_sample[rows].tolist()

    def _result(self, outputs: Outputs, rows: NDArray[np.int64]) -> EvaluationResult:
        whole = [np.zeros((self.samples, *part.shape[1:]), part.dtype) for part in outputs]
        for full, part in zip(whole, outputs, strict=True):
            full[rows] = part

        def model(numbers: NDArray[np.int64]) -> Any:
            found = tuple(full[numbers] for full in whole)
            return found if len(found) > 1 else found[0]

        return as_result(self._evaluate(model))


def _sampling_size(subject: Subject) -> int:
    from lpot_examples.spec import load_spec

    return max(load_spec(subject.topology.spec_path).quantization.calibration.sampling_size)
