"""Label-free output error: how far a configuration's raw outputs are from fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpot_examples.backends.base import Backend, Reference
from lpot_examples.calibration.feed import Array
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import any_number, joined, together
from lpot_examples.errors import EmitError, LpotError
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal

# The error of a network that cannot be made, or whose outputs are not finite.
WORST = 1e30

# Calibration samples that the error is computed on.
SAMPLES = 32

# Values of the inputs that are put together to one run: eight photographs of 640 × 640.
_MOST_VALUES = 10 << 20


class OutputErrorProbe:
    """Computes, and remembers in the journal, the output error of configurations.

    The error is Σ(y − ŷ)² / Σy² over a few calibration samples, averaged over the network's
    floating-point outputs; for an output that is a probability distribution it is the mean
    Kullback–Leibler divergence KL(p ‖ p̂), which sees errors that the largest probability hides.
    It needs no labels. What goes into suppressions and other decisions inside the network is
    compared in place of outputs behind them, where small errors are hidden or magnified; see
    `Backend.raw_outputs`.

    Args:
        backend: The network.
        statistics: Calibration statistics by sampling size.
        batches: The samples.
        journal: Where errors are remembered.
    """

    def __init__(
        self,
        backend: Backend,
        statistics: Mapping[int, Statistics],
        batches: Sequence[dict[str, Array]],
        journal: Journal,
    ) -> None:
        self._backend = backend
        self._statistics = statistics
        self._batches = batches
        self._journal = journal
        self._known: Sequence[Reference] | None = None

    def __call__(self, config: TuningConfig) -> float:
        """Return the error of a configuration; `WORST` if no network can be made of it."""
        digest = config.digest()
        known = self._journal.find("probe", config=digest)
        if known is not None:
            return float(known["error"])
        try:
            model = self._backend.emit(config, select(self._statistics, config))
        except EmitError:  # as a failed trial, not recorded: worth another attempt another time
            return WORST
        references = self._references()
        try:
            outputs = [
                self._backend.raw_outputs(model, batch, reference)
                for batch, reference in zip(self._batches, references, strict=True)
            ]
        finally:
            model.close()
        error = _normalized_error([one.outputs for one in references], outputs)
        self._journal.write("probe", config=digest, error=error)
        return error

    def _references(self) -> Sequence[Reference]:
        """Return what fp32 gives; the batches are put together first, if the network allows it."""
        if self._known is None:
            groups = list(together(self._batches, self._free, most_values=_MOST_VALUES))
            try:
                merged = [joined(group) for group in groups]
                self._known = self._backend.references(merged)
                self._batches = merged
            except LpotError:  # a batch of one is built into it
                self._known = self._backend.references(self._batches)
        return self._known

    def _free(self, batch: Mapping[str, Array]) -> bool:
        """Tell whether the first dimension of every input is free."""
        return any_number(self._backend.input_spec[name][0] for name in batch)


def select(statistics: Mapping[int, Statistics], config: TuningConfig) -> Statistics:
    """Return the statistics of a configuration's sampling size (the largest for 0)."""
    return statistics[config.samples or max(statistics)]


def _normalized_error(reference: Sequence[Sequence[Array]], outputs: list[list[Array]]) -> float:
    """Return the mean error of all outputs; those of one shape, such as one a class, count once."""
    errors: dict[tuple[int, ...], list[float]] = {}
    for port, first in enumerate(reference[0]):
        if first.dtype.kind == "f":
            wanted, found = [one[port] for one in reference], [one[port] for one in outputs]
            errors.setdefault(first.shape[1:], []).append(_error(wanted, found))
    value = float(np.mean([np.mean(one) for one in errors.values()])) if errors else 0.0
    return value if np.isfinite(value) else WORST


def _error(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the error of one output over all batches."""
    pairs = list(zip(wanted, found, strict=True))
    alike = all(a.shape == b.shape for a, b in pairs)
    if alike and all(_is_distribution(array) for array in wanted):
        return float(np.mean(np.concatenate([_divergence(a, b).ravel() for a, b in pairs])))
    return relative_error(wanted, found)


def relative_error(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the power of the error of one output over all batches, as a share of the output's.

    It is 1 where shapes differ: a detector's post-processing may find another number of boxes,
    which is as wrong as can be.

    Args:
        wanted: The output of each batch.
        found: That of another network.
    """
    pairs = list(zip(wanted, found, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return 1.0
    difference = sum(float(np.sum((a.astype(np.float64) - b) ** 2)) for a, b in pairs)
    power = sum(float(np.sum(a.astype(np.float64) ** 2)) for a in wanted)
    return difference / max(power, 1e-30)


def _is_distribution(array: Array) -> bool:
    """Tell whether the last dimension holds probabilities that sum to one."""
    if array.ndim < 2 or array.shape[-1] < 2 or array.min() < 0:
        return False
    return bool(np.allclose(array.sum(axis=-1), 1, atol=1e-3))


def _divergence(reference: Array, output: Array) -> Array:
    """Return KL(p ‖ p̂) of every sample; p̂ is floored, so that it is finite."""
    p = np.clip(reference.astype(np.float64), 1e-12, None)
    q = np.clip(output.astype(np.float64), 1e-12, None)
    return np.asarray(np.sum(p * (np.log(p) - np.log(q)), axis=-1))
