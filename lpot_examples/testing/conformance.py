"""What every backend must do, checked through `backends.base.Backend` alone.

Each check takes a `Subject` and raises ``AssertionError``; `CHECKS` lists them for tests to run on
every framework.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.base import Backend, Model
from lpot_examples.calibration.feed import Array, samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import Precision, TuningConfig
from lpot_examples.host import INSTRUCTION_SETS

# Squared error of a small network in int8, relative to the outputs' power; measured below 0.01.
_CLOSE = 0.05


@dataclass(frozen=True)
class Subject:
    """A backend with data for its network.

    Attributes:
        backend: It.
        batches: Arrays by input name; the same ones calibrate and are compared.
        content: Returns a hash of the network as given.
        folder: Where files may go.
    """

    backend: Backend
    batches: Sequence[dict[str, Array]]
    content: Callable[[], str]
    folder: Path

    @cached_property
    def statistics(self) -> Statistics:
        """What one pass over the batches gives."""
        return self.backend.calibrate(iter(self.batches), sizes=[self.count])[self.count]

    @property
    def count(self) -> int:
        """Number of samples in the batches."""
        return sum(map(samples, self.batches))

    @property
    def names(self) -> list[str]:
        """The groups that can run in int8."""
        return [group.name for group in self.backend.op_graph.quantizable]

    def emit(self, *, fp32: Sequence[str] = (), **choices: Any) -> Model:
        """Return the network of a configuration."""
        return self.backend.emit(TuningConfig(fp32=frozenset(fp32), **choices), self.statistics)

    def error(self, model: Model) -> float:
        """Return the squared error of raw outputs, relative to their power."""
        backend, wrong, power = self.backend, 0.0, 0.0
        for batch, reference in zip(self.batches, backend.references(self.batches), strict=True):
            found = backend.raw_outputs(model, batch, reference)
            for one, other in zip(reference.outputs, found, strict=True):
                assert one.shape == other.shape
                assert np.isfinite(other).all()
                wrong += float(np.sum((one.astype(np.float64) - other) ** 2))
                power += float(np.sum(one.astype(np.float64) ** 2))
        return wrong / power


def everything_in_fp32_is_the_network_as_given(subject: Subject) -> None:
    """With all groups in fp32, the outputs are the given network's but for rounding."""
    model, given = subject.emit(fp32=subject.names), subject.backend.baseline()
    for batch in subject.batches:
        for one, other in zip(_outputs(given(batch)), _outputs(model(batch)), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4 * np.abs(one).max())


def int8_is_finite_and_close(subject: Subject) -> None:
    """All range and weight algorithms give networks that are close to fp32, and not equal."""
    for activations in ("minmax", "percentile", "mse", "kl"):
        for weights in ("minmax", "mse"):
            error = subject.error(
                subject.emit(activation_algorithm=activations, weight_algorithm=weights)
            )
            assert 0 < error < _CLOSE, (activations, weights, error)


def repairs_keep_it_close(subject: Subject) -> None:
    """Bias correction and equalization give networks that are close to fp32, too."""
    for choices in ({"bias_correction": True}, {"equalization": 0.5, "bias_correction": True}):
        assert 0 < subject.error(subject.emit(**choices)) < _CLOSE, choices


def fp32_sets_are_obeyed(subject: Subject) -> None:
    """A group is int8 if and only if the configuration does not keep it in fp32."""
    for kept in ([], subject.names[:1], subject.names[1:], subject.names[::2], subject.names):
        config = TuningConfig(fp32=frozenset(kept))
        decided = subject.backend.explain(config, subject.statistics, {})
        able = [one for one in decided if one.group in subject.names]
        found = {one.group for one in able if one.precision == Precision.INT8}
        assert found == set(subject.names) - set(kept)
        assert subject.error(subject.emit(fp32=kept)) < _CLOSE


def every_op_is_explained_once(subject: Subject) -> None:
    """Every op of the op graph has one decision, with a reason."""
    decided = subject.backend.explain(TuningConfig(), subject.statistics, {})
    graph = subject.backend.op_graph
    grouped = [op.name for group in graph.groups for op in group.ops]
    names = [one.name for one in decided]
    assert sorted(set(names)) == sorted(names)
    assert set(grouped) <= set(names)
    assert set(names) <= {*grouped, *(op.name for op in graph.others)}
    assert all(one.reason and one.precision in ("int8", "fp32") for one in decided)


def reasons_of_reverted_groups_are_told(subject: Subject) -> None:
    """The reason that the search has for a group is the op's reason."""
    name = subject.names[0]
    config = TuningConfig(fp32=frozenset({name}))
    decided = subject.backend.explain(config, subject.statistics, {name: "it was dear"})
    assert {one.reason for one in decided if one.group == name} == {"it was dear"}


def what_is_saved_is_what_ran(subject: Subject) -> None:
    """A file that is loaded again gives the outputs of the network that was saved."""
    model = subject.emit()
    path = model.save(subject.folder / f"int8{subject.backend.suffix}")
    batch = subject.batches[0]
    loaded = subject.backend.load(path)
    for one, other in zip(_outputs(model(batch)), _outputs(loaded(batch)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".tmp")] == []


def readers_can_be_pickled(subject: Subject) -> None:
    """A worker process can read the files: the function that does it can be sent."""
    path = subject.emit().save(subject.folder / f"sent{subject.backend.suffix}")
    for given in (False, True):
        reader = pickle.loads(pickle.dumps(subject.backend.reader(given=given)))
        assert len(_outputs(reader(path)(subject.batches[0]))) > 0


def a_closed_model_can_run_again(subject: Subject) -> None:
    """Closing releases memory; it does not end a model's life."""
    model = subject.emit()
    before = _outputs(model(subject.batches[0]))
    model.close()
    for one, other in zip(before, _outputs(model(subject.batches[0])), strict=True):
        np.testing.assert_array_equal(one, other)


def the_network_as_given_is_not_changed(subject: Subject) -> None:
    """Nothing that is done with a network changes it."""
    before = subject.content()
    subject.error(subject.emit(bias_correction=True))
    subject.backend.explain(TuningConfig(), subject.statistics, {})
    subject.backend.baseline()(subject.batches[0])
    assert subject.content() == before


def one_pass_gives_all_sizes(subject: Subject) -> None:
    """Statistics of a smaller number of samples come from the same pass, and repeat."""
    first = samples(subject.batches[0])
    both = subject.backend.calibrate(iter(subject.batches), sizes=[first, subject.count])
    assert [one.samples for one in both.values()] == [first, subject.count]
    for name, histogram in subject.statistics.tensors.items():
        again = both[subject.count].tensors[name]
        assert (again.minimum, again.maximum) == (histogram.minimum, histogram.maximum)
        assert both[first].tensors[name].seen < again.seen


def exactness_names_instruction_sets_and_groups(subject: Subject) -> None:
    """Groups that could saturate are told for every instruction set, none where nothing can."""
    found = subject.backend.exactness(TuningConfig(), subject.statistics)
    assert set(found) == set(INSTRUCTION_SETS)
    for name, groups in found.items():
        assert set(groups) <= set(subject.names)
        assert not groups or INSTRUCTION_SETS[name].u8s8_saturates


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    check.__name__: check
    for check in (
        everything_in_fp32_is_the_network_as_given,
        int8_is_finite_and_close,
        repairs_keep_it_close,
        fp32_sets_are_obeyed,
        every_op_is_explained_once,
        reasons_of_reverted_groups_are_told,
        what_is_saved_is_what_ran,
        readers_can_be_pickled,
        a_closed_model_can_run_again,
        the_network_as_given_is_not_changed,
        one_pass_gives_all_sizes,
        exactness_names_instruction_sets_and_groups,
    )
}
"""Name to check."""


def _outputs(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)
