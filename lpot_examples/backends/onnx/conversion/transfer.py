"""From a tuned TensorFlow network to the same one in ONNX: same decisions, same scales.

1. The cleaned TensorFlow network is converted (`from_tensorflow`), its inner tensors tracked.
2. Groups are matched (`counterparts`) and the configuration gets their names. A group without a
   counterpart stays fp32: nothing was decided about it.
3. The statistics get the names of the converted network's tensors (`translated`). What ONNX Runtime
   needs a range of and TensorFlow does not, such as an average over an image, is collected anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from lpot_examples.backends.base import Transferred
from lpot_examples.backends.onnx.backend import OnnxBackend
from lpot_examples.backends.onnx.conversion.counterparts import counterparts
from lpot_examples.backends.onnx.conversion.from_tensorflow import convert_tracked
from lpot_examples.backends.onnx.conversion.translated import translate
from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.backends.tensorflow.backend import Cleaned, TensorFlowBackend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import ModelError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import InstructionSet

_NOT_FOUND = "no int8 group of the TensorFlow network corresponds to it"
_REVERTED = "fp32 in the TensorFlow network, too"


class OnnxTransfer:
    """The ONNX form of a TensorFlow network; see `backends.base.Transfer`.

    Args:
        given: The TensorFlow network.
        isa: The instruction set to emit for.

    Raises:
        ModelError: If it cannot be converted.
    """

    def __init__(self, given: TensorFlowBackend, isa: InstructionSet) -> None:
        self._cleaned: Cleaned = given.cleaned
        model = self._cleaned.model
        converted = convert_tracked(
            model, {*self._cleaned.observed, *self._cleaned.compared.fetched}
        )
        self._names = converted.names
        network = OnnxModel(
            converted.proto,
            inputs=model.input_names,
            outputs=model.output_names,
            source=f"{model.source} as ONNX",
        )
        self._backend = OnnxBackend(network, isa)

    @property
    def backend(self) -> OnnxBackend:
        """The fp32 network in ONNX."""
        return self._backend

    def deviation(self, batch: dict[str, Array]) -> float:
        """Return how far both fp32 networks are apart where int8 would be compared with fp32."""
        ours: dict[str, str] = {}
        for name, tensor in self._names.items():
            ours.setdefault(tensor, name)  # the nearest one is the first
        compared = [name for name in self._comparable() if name in ours]
        model, network = self._cleaned.model, self._backend.baseline()
        assert isinstance(network, OnnxModel)
        try:
            wanted = model.run(compared, batch)
            found = network.run([ours[name] for name in compared], batch)
        finally:
            model.close()
            network.close()
        pairs = list(zip(wanted, found, strict=True))
        if not pairs:
            raise ModelError(
                f"{model.source} has no tensor by which its ONNX form could be compared with it."
            )
        return max(_difference(one, _as(two, one.shape)) for one, two in pairs)

    def transfer(
        self,
        config: TuningConfig,
        statistics: Statistics,
        batches: Callable[[], Iterable[dict[str, Array]]],
    ) -> Transferred:
        """Return what a configuration of the TensorFlow network is here."""
        backend, found = self._backend, self._counterparts
        own = _renamed(config, found, set(backend.groups))
        reasons = {name: _NOT_FOUND for name in backend.groups if name not in found}
        reasons |= {name: _REVERTED for name in own.fp32 & found.keys()}
        known = translate(
            backend.graph,
            statistics,
            names=self._names,
            before=self._cleaned.graph,
            wanted=backend.observed,
            axes=backend.channel_axes,
            algorithms={config.activation_algorithm, *config.activation_overrides.values()},
        )
        translated = known.statistics
        if known.unknown:
            new = backend.calibrate(batches(), sizes=[statistics.samples])[statistics.samples]
            translated = replace(
                translated,
                tensors={**translated.tensors, **{n: new.tensors[n] for n in known.unknown}},
                channels={**new.channels, **translated.channels},
            )
        return Transferred(
            config=own,
            statistics=translated,
            counterparts=found,
            reasons=reasons,
            collected=known.unknown,
        )

    @cached_property
    def _counterparts(self) -> dict[str, str]:
        found = counterparts(
            self._backend.graph,
            self._backend.groups,
            names=self._names,
            others=self._cleaned.groups,
        )
        # Average pools, which TensorFlow carries as movement, may be convolutions here.
        for name, group in self._backend.groups.items():
            tensor = self._names.get(group.output, group.output.removesuffix(":0"))
            before = self._cleaned.graph.nodes.get(tensor)
            if name not in found and before is not None and before.op == "AvgPool":
                found[name] = tensor
        return found

    def _comparable(self) -> list[str]:
        """Return the tensors that are compared, but for those behind decisions."""
        compared, graph = self._cleaned.compared, self._cleaned.graph
        given = {name.split(":")[0] for name in compared.given}
        return [name for name in compared.fetched if not given & graph.ancestors([name])]


def _renamed(config: TuningConfig, names: Mapping[str, str], groups: set[str]) -> TuningConfig:
    """Return a configuration with other names of groups; those without a counterpart stay fp32."""
    from_here = names.items()
    return replace(
        config,
        fp32=frozenset(name for name in groups if names.get(name) in {*config.fp32, None}),
        activation_overrides={
            name: config.activation_overrides[other]
            for name, other in from_here
            if other in config.activation_overrides
        },
        per_tensor=frozenset(name for name, other in from_here if other in config.per_tensor),
        weight_bits={
            name: config.weight_bits[other]
            for name, other in from_here
            if other in config.weight_bits
        },
        uncorrected=frozenset(name for name, other in from_here if other in config.uncorrected),
        samples=0,
    )


def _as(array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array in TensorFlow's order of dimensions, if it can be told."""
    if array.shape == shape:
        return array
    if array.ndim > 2 and np.moveaxis(array, 1, -1).shape == shape:
        return np.moveaxis(array, 1, -1)
    return array.reshape(shape) if array.size == np.prod(shape) else array


def _difference(wanted: Array, found: Array) -> float:
    if wanted.shape != found.shape or wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(wanted, found) else 1.0
    gap = np.sqrt(np.mean((wanted.astype(np.float64) - found) ** 2)) if wanted.size else 0.0
    power = np.sqrt(np.mean(wanted.astype(np.float64) ** 2)) if wanted.size else 0.0
    return float(gap / max(power, 1e-12)) if np.isfinite(gap) else 1.0
