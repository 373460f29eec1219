"""Which groups cause the output error: adaptive group testing from the all-int8 network.

Blocks of neighbouring groups are reverted to fp32 together. The block whose reverting removes most
error is split in two and its halves are tested, so that a few guilty groups among many are found
with far fewer probes than one per group. Where a block gains more than its halves do one by one,
its groups matter together: the difference is shared among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lpot_examples.graph import Group, TuningConfig

# Probes that a ranking may cost at most.
MAX_PROBES = 48

_FIRST_BLOCKS = 8

# Blocks whose reverting removes less than this share of the error are not worth splitting.
_NEGLIGIBLE = 0.02


@dataclass(frozen=True)
class _Block:
    names: tuple[str, ...]
    gain: float
    joint: float = 0.0  # each group's share of what the blocks around it gained beyond their halves

    @property
    def score(self) -> float:
        return self.gain / len(self.names) + self.joint


def sensitivities(
    groups: Sequence[Group],
    config: TuningConfig,
    probe: Callable[[TuningConfig], float],
    note: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> dict[str, float]:
    """Return by group name how much label-free error its reverting removes, by itself.

    Args:
        groups: The groups that may be reverted, in order of execution.
        config: The configuration in which they are int8.
        probe: Label-free output error of a configuration.
        note: Told (text, probes done, probes at most).
    """
    whole = probe(config)
    names = [group.name for group in groups]
    budget = min(MAX_PROBES, 2 * len(names))
    text = "finding the ops that cause the error"
    done = 0

    def test(block: tuple[str, ...]) -> _Block:
        nonlocal done
        note(text, done, budget)
        done += 1
        return _Block(block, whole - probe(config.with_fp32(block)))

    size = -(-len(names) // _FIRST_BLOCKS)
    open_blocks = [test(tuple(names[i : i + size])) for i in range(0, len(names), size)]
    final: list[_Block] = []
    while open_blocks:
        open_blocks.sort(key=lambda block: block.gain, reverse=True)
        block = open_blocks.pop(0)
        small = block.gain < _NEGLIGIBLE * whole
        if len(block.names) == 1 or small or done + 2 > budget:
            final.append(block)
            continue
        half = (len(block.names) + 1) // 2
        halves = [test(block.names[:half]), test(block.names[half:])]
        beyond = max(0.0, block.gain - sum(one.gain for one in halves)) / len(block.names)
        open_blocks += [replace(one, joint=block.joint + beyond) for one in halves]
    note(text, budget, budget)
    return {name: block.score for block in final for name in block.names}
