"""LPOT's ``bayesian``: a Gaussian process over every op's int8 option, by expected improvement.

After a few random configurations a Gaussian process (Matérn 5/2 over one-hot options) is fitted to
what was lost, and the candidate of greatest expected improvement is evaluated. (Snoek et al.,
Practical Bayesian Optimization of Machine Learning Algorithms, 2012.) fp32 is not among the
options, as in LPOT. Knows no end but that of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.strategies.opwise import OpWise, Values
from lpot_examples.search.trial import Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Random configurations before the first fit, the preferred options included.
_FIRST = 5

_CANDIDATES = 128

# Two configurations that differ in k groups are sqrt(2 k) apart.
_LENGTH_SCALES = (1.5, 5.0)
_NOISE = 1e-4

# Expected improvements closer than this are equal, whatever the order of summation.
_DIGITS = 9


class Bayesian(LpotStrategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield the preferred options, random ones, then the most promising ones."""
        import numpy as np

        choices = OpWise(self.context.space, self.start(), fp32=False)
        random = np.random.default_rng(self.context.seed)
        tried: list[Values] = []
        lost: list[float] = []
        asked: set[tuple[str, ...]] = set()
        values: Values | None = choices.first()
        while values is not None:
            asked.add(tuple(values.values()))
            trial = yield from self.attempt(choices.config(values))
            if trial is not None and trial.loss is not None:
                tried.append(values)
                lost.append(math.log1p(max(0.0, trial.excess())))
            best = tried[min(range(len(lost)), key=lost.__getitem__)] if lost else None
            candidates = {
                key: proposal
                for proposal in _proposals(choices, best, random)
                if (key := tuple(proposal.values())) not in asked
            }
            guess = len(asked) < _FIRST or not lost
            values = _promising(choices, tried, [] if guess else lost, [*candidates.values()])


def _promising(
    choices: OpWise, tried: Sequence[Values], lost: Sequence[float], candidates: Sequence[Values]
) -> Values | None:
    """Return the candidate of greatest expected improvement; the first if nothing is known."""
    if not candidates or not lost:
        return candidates[0] if candidates else None
    gains = _expected_improvement(_one_hot(choices, tried), lost, _one_hot(choices, candidates))
    return candidates[int(gains.round(_DIGITS).argmax())]


def _proposals(
    choices: OpWise, best: Values | None, random: np.random.Generator
) -> Iterator[Values]:
    """Yield random combinations, then the best one's neighbours; of a small space, all of it."""
    if choices.size <= _CANDIDATES:
        combinations = list(choices.all())
        yield from (combinations[index] for index in random.permutation(len(combinations)))
        return
    counts = [len(options) for _, options in _items(choices)]
    for row in random.integers(0, counts, size=(_CANDIDATES, len(counts))):
        yield {
            key: options[index] for (key, options), index in zip(_items(choices), row, strict=True)
        }
    if best is not None:
        for key, options in _items(choices):
            yield from ({**best, key: option} for option in options)


def _items(choices: OpWise) -> Iterator[tuple[str, tuple[str, ...]]]:
    return iter(choices.options.items())


def _one_hot(choices: OpWise, combinations: Sequence[Values]) -> NDArray[np.float64]:
    """Return float64 [combinations, options of all keys]: 1 for what is chosen."""
    import numpy as np

    columns = {
        pair: number
        for number, pair in enumerate(
            (key, option) for key, options in _items(choices) for option in options
        )
    }
    encoded = np.zeros((len(combinations), len(columns)))
    for row, values in enumerate(combinations):
        encoded[row, [columns[pair] for pair in values.items()]] = 1
    return encoded


def _expected_improvement(
    known: NDArray[np.float64], lost: Sequence[float], candidates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much each candidate is expected to lower the least loss; float64 [candidates].

    The length scale is the likeliest of a few. A search for the best one takes longer than some
    evaluations, and its last digits differ with the number of threads.
    """
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel
    from threadpoolctl import threadpool_limits

    targets = np.asarray(lost)
    # More threads only wait for each other on matrices this small.
    with threadpool_limits(limits=1):
        fits = [
            GaussianProcessRegressor(
                Matern(length_scale=scale, nu=2.5) + WhiteKernel(_NOISE),
                optimizer=None,
                normalize_y=True,
            ).fit(known, targets)
            for scale in _LENGTH_SCALES
        ]
        process = max(fits, key=lambda fit: round(fit.log_marginal_likelihood_value_, 6))
        mean, deviation = process.predict(candidates, return_std=True)
    deviation = np.maximum(deviation, 1e-12)
    gain = targets.min() - mean
    z = gain / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    improvement: NDArray[np.float64] = gain * below + deviation * density
    return improvement
