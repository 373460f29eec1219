"""How close a network's outputs are to those of the fp32 one: an evaluation without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.calibration.feed import samples as count_samples
from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.result import EvaluationResult

Progress = Callable[[int, int], None]
Outputs = tuple[NDArray[Any], ...]

CACHE_BYTES = 1 << 28


class AgreementEvaluation:
    """An ``eval_func`` that compares a model's outputs with those of a reference.

    A sample's score is the mean over the outputs of: the cosine of the angle between both
    networks' values, not below 0, where they are floating-point; the share of equal values where
    they are integers. 1 is the same output. A cosine of 0.99 is an error of about 14 % of the
    output's root mean square: 1 − cos = e² / 2 for a small error e that is not along the output.

    It says how much of the network's behaviour survives, not how good that is: where there are
    labels, score them.

    Args:
        batches: Yields ``(inputs, anything)``; iterated once per evaluation, the same each time.
        samples: How many samples ``batches`` holds.
        reference: The fp32 network, as the model that is scored: a function of a batch.
        cache_bytes: Memory for the reference's outputs, bytes; what does not fit is computed again
            in each evaluation.

    Attributes:
        samples: As given.
    """

    def __init__(
        self,
        batches: Iterable[tuple[Any, Any]],
        *,
        samples: int,
        reference: Callable[[Any], Any],
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.samples = samples
        self._batches = batches
        self._reference = reference
        self._room = cache_bytes
        self._known: dict[int, Outputs] = {}

    def __call__(
        self, model: Callable[[Any], Any], *, progress: Progress | None = None
    ) -> EvaluationResult:
        """Score ``model`` on all samples.

        Args:
            model: Maps a batch to an array, or to a tuple of arrays for several outputs.
            progress: Called after each batch with the samples done and their total.

        Raises:
            EvaluationError: If the model has other outputs than the reference, or they cannot be
                told apart by samples.
        """
        scores: list[NDArray[np.float64]] = []
        done = 0
        for index, (inputs, _) in enumerate(self._batches):
            wanted, found = self._wanted(index, inputs), _outputs(model(inputs))
            size = _size(inputs)
            scores.append(_agreement(wanted, found, size))
            done += size
            if progress is not None:
                progress(done, self.samples)
        if not done:
            raise EvaluationError("The evaluation needs at least one sample; the data hold none.")
        each = np.concatenate(scores)
        return EvaluationResult(
            score=float(each.mean()), metric="agreement", samples=done, per_sample=each
        )

    def _wanted(self, index: int, inputs: Any) -> Outputs:
        """Return the reference's outputs for a batch, from memory where they are there."""
        if index in self._known:
            return self._known[index]
        outputs = _outputs(self._reference(inputs))
        size = sum(array.nbytes for array in outputs)
        if size <= self._room:
            self._room -= size
            self._known[index] = outputs
        return outputs


def _outputs(returned: Any) -> Outputs:
    return tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)


def _size(inputs: Any) -> int:
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    return count_samples(named)


def _agreement(wanted: Outputs, found: Outputs, samples: int) -> NDArray[np.float64]:
    """Return the score of each sample, float64 [samples] in [0, 1]."""
    if len(wanted) != len(found):
        raise EvaluationError(
            f"The model must have the {len(wanted)} outputs of the fp32 network; it has "
            f"{len(found)}. Compare models of one topology, or name the outputs in the yaml."
        )
    pairs = zip(wanted, found, strict=True)
    each = np.stack([_output(one, other, samples) for one, other in pairs])
    return np.asarray(each.mean(axis=0), dtype=np.float64)


def _output(wanted: NDArray[Any], found: NDArray[Any], samples: int) -> NDArray[np.float64]:
    if wanted.shape != found.shape:  # another number of boxes, say: nothing to compare
        return np.zeros(samples)
    if wanted.shape[:1] != (samples,) and samples != 1:
        raise EvaluationError(
            f"An output of {list(wanted.shape)} cannot be told apart by the {samples} samples of a "
            "batch. Evaluate with --batch_size=1."
        )
    if wanted.dtype.kind != "f":
        equal = np.asarray(wanted == found).reshape(samples, -1)
        return np.asarray(equal.mean(axis=1) if equal.shape[1] else np.ones(samples))
    one = wanted.reshape(samples, -1).astype(np.float64)
    other = found.reshape(samples, -1).astype(np.float64)
    return _cosine(one, other)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines of rows, in [0, 1]; 1 where both are zero, 0 where one is or is broken."""
    broken = np.asarray(~np.isfinite(other).all(axis=1))
    other = np.where(broken[:, None], 0.0, other)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    both_zero = ~one.any(axis=1) & ~other.any(axis=1) & ~broken
    cosine = (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return np.where(both_zero, 1.0, np.clip(cosine, 0.0, 1.0))
