"""What is kept of an evaluation so that another one can be compared with it, sample by sample.

The fp32 model is evaluated once, perhaps in an earlier session, so this goes into the journal: the
score of each sample where the metric is their mean, else the scores of the bootstrap's draws.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.bootstrap import Replicates, replicate
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subsets import SubsetScores, subset_scores

# Per-sample scores of a metric that is their mean add up to it but for rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The parts of one score; one of the two kinds.

    Attributes:
        per_sample: float64 [samples], whose mean is the score, in the order of the dataset.
        replicates: The score's replicates, for metrics that are no mean.
        subsets: Its scores on parts of the samples, for races of metrics that are no mean.
        samples: How many samples were evaluated.
    """

    per_sample: NDArray[np.float64] | None = None
    replicates: Replicates | None = None
    subsets: SubsetScores | None = None
    samples: int

    @property
    def binary(self) -> bool:
        """Whether every sample is right (1) or wrong (0)."""
        return self.per_sample is not None and bool(np.isin(self.per_sample, (0.0, 1.0)).all())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, compressed; 50,000 right-or-wrong answers take about 8 kB."""
        if self.per_sample is not None:
            values = self.per_sample
            parts = (
                {"binary": _pack(values.astype(bool))} if self.binary else {"mean": _pack(values)}
            )
        else:
            assert self.replicates is not None
            parts = {
                "scores": _pack(self.replicates.scores),
                "left_out": _pack(self.replicates.left_out),
            }
            if self.subsets is not None:
                parts |= {
                    "looks": _pack(self.subsets.scores),
                    "look_draws": _pack(self.subsets.draws),
                }
        return {"samples": self.samples, **parts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evidence:
        """Undo `to_dict`."""
        count = int(data["samples"])
        if "binary" in data:
            bits = np.frombuffer(_unpack(data["binary"]), dtype=np.uint8)
            return cls(per_sample=np.unpackbits(bits, count=count).astype(float), samples=count)
        if "mean" in data:
            return cls(per_sample=_floats(data["mean"]), samples=count)
        kept = Replicates(scores=_floats(data["scores"]), left_out=_floats(data["left_out"]))
        subsets = None
        if "looks" in data:
            scores, draws = _floats(data["looks"]), _floats(data["look_draws"])
            subsets = SubsetScores(scores=scores, draws=draws.reshape(len(scores), -1))
        return cls(replicates=kept, subsets=subsets, samples=count)


def gather(result: EvaluationResult, *, race: bool = False) -> Evidence | None:
    """Return what an evaluation's result lends itself to; None if it is one number.

    Args:
        result: The evaluation's.
        race: Whether candidates may be raced against it.

    Per-sample scores count if they are finite and their mean is the score. Otherwise ``resample``
    is called for every draw of the bootstrap, if there is one; a metric without a finite score
    for some draw is taken as one number.
    """
    values = result.per_sample
    if values is not None and len(values) > 1 and np.isfinite(values).all():
        tolerance = _ROUNDING * max(1.0, abs(result.score))
        if abs(float(values.mean()) - result.score) <= tolerance:
            return Evidence(per_sample=values, samples=len(values))
    if result.resample is None or result.samples < 2:
        return None
    kept = replicate(result.resample, result.samples)
    if not kept.finite:
        return None
    subsets = subset_scores(result.resample, result.samples) if race else None
    return Evidence(replicates=kept, subsets=subsets, samples=result.samples)


def _pack(values: NDArray[Any]) -> str:
    if values.dtype == np.bool_:
        values = np.packbits(values)
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode("ascii")


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _floats(text: str) -> NDArray[np.float64]:
    return np.frombuffer(_unpack(text), dtype=np.float64)
