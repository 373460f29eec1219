"""Top-k accuracy of a classification network over a labelled dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.batches import begin_reading
from lpot_examples.evaluation.metrics.topk import topk
from lpot_examples.evaluation.racing import Monitor, raced_pass
from lpot_examples.evaluation.result import EvaluationResult

Progress = Callable[[int, int], None]


class TopKEvaluation:
    """An ``eval_func`` that scores the share of samples whose label is among the first k classes.

    Args:
        batches: Yields ``(inputs, labels)``, labels integer [n]; iterated once per evaluation.
            A method ``ordered(indices)``, if it has one, yields the samples in that order; without
            it no evaluation is stopped early.
        samples: How many samples ``batches`` holds.
        classes: How many scores the model gives per sample.
        label_shift: Added to each label to find its score; 1 for networks whose class 0 is
            background.
        ks: The values of k; the first is the score, all are in the details.

    Attributes:
        samples: As given.
    """

    def __init__(
        self,
        batches: Iterable[tuple[NDArray[Any], NDArray[Any]]],
        *,
        samples: int,
        classes: int,
        label_shift: int = 0,
        ks: tuple[int, ...] = (1, 5),
    ) -> None:
        self.samples = samples
        self._batches = batches
        self._classes = classes
        self._shift = label_shift
        self._ks = ks

    def begin(self) -> None:
        """Let the data be read from now on, if they can be: the model is still being loaded."""
        begin_reading(self._batches)

    def __call__(
        self,
        model: Callable[[Any], Any],
        *,
        progress: Progress | None = None,
        monitor: Monitor | None = None,
    ) -> EvaluationResult:
        """Score ``model`` on all samples, or until the monitor says to stop.

        Args:
            model: Maps a batch to scores [n, classes]; axes of length 1 do not matter.
            progress: Called after each batch with the samples done and their total.
            monitor: Sets the order of the samples, is told each batch's and may end the evaluation.

        Returns:
            The share for the first k, with per-sample 0/1 in the order of the dataset. After a
            stop it is of the samples seen, and ``samples`` is their number.

        Raises:
            EvaluationError: If the model's output has another shape, or there are no samples.
        """
        correct: list[NDArray[np.float64]] = []
        order, batches = self._pass(monitor)
        done = 0
        for inputs, labels in batches:
            scores = class_scores(model(inputs), len(labels), self._classes)
            shifted = labels + self._shift
            correct.append(np.stack([topk(scores, shifted, k) for k in self._ks]))
            done += len(labels)
            if progress is not None:
                progress(done, self.samples)
            rows = order[done - len(labels) : done]
            if monitor is not None and len(order) and monitor(correct[-1][0], rows):
                break
        if not done:
            raise EvaluationError("The evaluation needs at least one sample; the data hold none.")
        table = np.concatenate(correct, axis=1)
        if len(order):
            table = table[:, np.argsort(order[:done])]
        means = {f"top-{k}": float(row.mean()) for k, row in zip(self._ks, table, strict=True)}
        name = f"top-{self._ks[0]}"
        return EvaluationResult(
            score=means[name], metric=name, samples=done, per_sample=table[0], details=means
        )

    def _pass(self, monitor: Monitor | None) -> tuple[NDArray[np.int64], Iterator[Any]]:
        """Return the order of one pass, empty for that of the dataset, and its batches."""
        raced = raced_pass(self._batches, self.samples, monitor)
        return raced or (np.empty(0, dtype=np.int64), iter(self._batches))


def class_scores(output: object, samples: int, classes: int) -> NDArray[Any]:
    """Return a model's output as scores [samples, classes], axes of length 1 dropped.

    Raises:
        EvaluationError: If it is not one array of that shape.
    """
    if isinstance(output, np.ndarray):
        sides = output.shape
        if sides[:1] == (samples,) and max(sides[1:], default=1) == classes == np.prod(sides[1:]):
            return output.reshape(samples, classes)
    shape = list(output.shape) if isinstance(output, np.ndarray) else type(output).__name__
    other = isinstance(shape, list) and bool(shape) and abs(shape[-1] - classes) == 1
    hint = " One more or less may be a score for background: see 'background'." if other else ""
    raise EvaluationError(
        f"The model must give one array of {classes} class scores per image, [{samples}, {classes}]"
        f" for this batch; it gave {shape}. Use a model of this topology, or name its output in "
        f"the yaml.{hint}"
    )
