"""``conservative``, of later versions of LPOT: from fp32, one type of op after another to int8.

All ops of a type become int8 together, convolutions first, then matrix products, then the others.
A type stays int8 if the bar is still met. One evaluation for each type of op in the network.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.trial import Trial

# Parts of type names, in the order in which types are tried; where most time goes comes first.
_ORDER = ("depthwise", "conv", "batchmatmul", "matmul", "linear", "gemm")
_RANK = {"conv": 0, "depthwise": 1, "matmul": 2, "batchmatmul": 3, "linear": 4, "gemm": 4}


class Conservative(LpotStrategy):
    """See the module's description."""

    ends_at_first_pass: ClassVar[bool] = False

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield what passed so far with one more type in int8."""
        start, free = self.start(), self.context.space.free
        if not free:
            yield start
            return
        passed: frozenset[str] = frozenset()
        for op_type in sorted(dict.fromkeys(group.type for group in free), key=_rank):
            int8 = passed | {group.name for group in free if group.type == op_type}
            rest = [group.name for group in free if group.name not in int8]
            trial = yield start.with_fp32(rest)
            if trial.met:
                passed = int8


def _rank(op_type: str) -> tuple[int, str]:
    """Return a type's place in the order; unknown types come last, by name."""
    plain = op_type.lower().replace("_", "")
    part = next((part for part in _ORDER if part in plain), "")
    return _RANK.get(part, len(_RANK)), op_type
