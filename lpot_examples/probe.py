"""Label-free output error: how far a configuration's raw outputs are from fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpot_examples.backends.base import Backend
from lpot_examples.calibration.feed import Array
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EmitError
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal

# The error of a network that cannot be made, or whose outputs are not finite.
WORST = 1e30

# Calibration samples that the error is computed on.
SAMPLES = 32


class OutputErrorProbe:
    """Computes, and remembers in the journal, the output error of configurations.

    The error is Σ(y − ŷ)² / Σy² over a few calibration samples, averaged over the network's
    floating-point outputs; for an output that is a probability distribution it is the mean
    Kullback–Leibler divergence KL(p ‖ p̂), which sees errors that the largest probability hides.
    It needs no labels, and the network's own outputs are compared before any decoding, which
    would hide small errors and magnify others.

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
        self._reference: list[list[Array]] | None = None

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
        try:
            outputs = [self._backend.raw_outputs(model, batch) for batch in self._batches]
        finally:
            model.close()
        error = _normalized_error(self._references(), outputs)
        self._journal.write("probe", config=digest, error=error)
        return error

    def _references(self) -> list[list[Array]]:
        if self._reference is None:
            model = self._backend.baseline()
            self._reference = [self._backend.raw_outputs(model, batch) for batch in self._batches]
        return self._reference


def select(statistics: Mapping[int, Statistics], config: TuningConfig) -> Statistics:
    """Return the statistics of a configuration's sampling size (the largest for 0)."""
    return statistics[config.samples or max(statistics)]


def _normalized_error(reference: list[list[Array]], outputs: list[list[Array]]) -> float:
    errors = []
    for port in range(len(reference[0])):
        if reference[0][port].dtype.kind != "f":
            continue
        wanted = [batch[port] for batch in reference]
        found = [batch[port] for batch in outputs]
        if any(a.shape != b.shape for a, b in zip(wanted, found, strict=True)):
            # A detector's post-processing may find another number of boxes: as wrong as can be.
            errors.append(1.0)
            continue
        if all(_is_distribution(array) for array in wanted):
            errors.append(
                float(np.mean([_divergence(a, b) for a, b in zip(wanted, found, strict=True)]))
            )
            continue
        difference = sum(
            float(np.sum((a.astype(np.float64) - b) ** 2))
            for a, b in zip(wanted, found, strict=True)
        )
        power = sum(float(np.sum(a.astype(np.float64) ** 2)) for a in wanted)
        errors.append(difference / max(power, 1e-30))
    value = float(np.mean(errors)) if errors else 0.0
    return value if np.isfinite(value) else WORST


def _is_distribution(array: Array) -> bool:
    """Tell whether the last dimension holds probabilities that sum to one."""
    if array.ndim < 2 or array.shape[-1] < 2 or array.min() < 0:
        return False
    return bool(np.allclose(array.sum(axis=-1), 1, atol=1e-3))


def _divergence(reference: Array, output: Array) -> float:
    """Return the mean KL(p ‖ p̂) over samples; p̂ is floored, so that it is finite."""
    p = np.clip(reference.astype(np.float64), 1e-12, None)
    q = np.clip(output.astype(np.float64), 1e-12, None)
    return float(np.mean(np.sum(p * (np.log(p) - np.log(q)), axis=-1)))
