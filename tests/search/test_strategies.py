"""Every strategy passes the conformance suite that the package ships."""

from collections.abc import Generator

import pytest

from lpot_examples.graph import TuningConfig
from lpot_examples.search import Trial
from lpot_examples.search.strategies import DEFAULT, STRATEGIES, Strategy
from lpot_examples.testing import strategies as suite


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_conformance(name, check):
    check(STRATEGIES[name])


def test_the_default_can_run():
    assert DEFAULT in STRATEGIES


class Careless(Strategy):
    """Does what no strategy may: repeats itself, gives up int8, never ends."""

    ends_at_first_pass = True

    def plain(self):
        return next(self.run())

    def _satisfied(self):
        return False

    def run(self) -> Generator[TuningConfig, Trial, None]:
        everything = [group.name for group in self.context.space.free]
        while True:
            yield self.context.space.base.with_fp32(everything)


@pytest.mark.parametrize(
    "check",
    [
        suite.ends,
        suite.ends_where_it_says,
        suite.is_all_int8_without_a_bar,
        suite.never_repeats,
        suite.never_gives_up_int8,
        suite.survives_a_bar_of_nothing,
    ],
    ids=lambda check: check.__name__,
)
def test_the_suite_catches_a_careless_strategy(check):
    with pytest.raises(AssertionError):
        check(Careless)
