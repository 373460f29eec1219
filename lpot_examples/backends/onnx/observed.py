"""What calibration looks at, reduced inside the network, so that activations never leave it.

    t ─► ReduceMin, ReduceMax, ReduceMean behind the channels ─► [samples, channels] each
    t ─► Reshape to one dimension ─► Gather of pseudo-random places ─► sample

for tensors whose shape is known once that of the inputs is; other tensors, and small ones, become
outputs as they are and are reduced by NumPy. ONNX Runtime can then free and reuse the memory of
activations, and optimize what it otherwise would have to give.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.model import OnnxModel, is_large
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.calibration.collected import Observation, positions

_REDUCTIONS = ("ReduceMin", "ReduceMax", "ReduceMean")
_AXES_AS_INPUT = 18  # the opset in which axes of these became an input
_FLAT = -1

LARGE = 1 << 17
"""Values of a tensor from which on it is reduced inside the network: below, NumPy is as fast."""


class ObservedNetwork:
    """A network that gives what calibration wants of its tensors, for inputs of given shapes.

    Args:
        model: The cleaned fp32 ``ModelProto``; not changed.
        tensors: Names of the tensors to observe.
        axes: Tensor name to the axis of its channels, where these are observed as well.
        shapes: Shape of every input; nothing is known of them if it is empty.
        most: Values of a tensor to take a sample of; all if there are fewer.
        large: Values from which on a tensor is reduced inside the network.
    """

    def __init__(
        self,
        model: Any,
        tensors: Sequence[str],
        *,
        axes: Mapping[str, int],
        shapes: Mapping[str, tuple[int, ...]],
        most: int,
        large: int = LARGE,
    ) -> None:
        self._axes, self._most = axes, most
        self._reduced: dict[str, int] = {}
        self._inputs = {one.name for one in proto.own_inputs(model.graph)}
        self._copy = proto.copy_of(model)
        del self._copy.graph.output[:]
        self._constants: dict[bytes, str] = {}
        known = _static_shapes(model, shapes)
        self._tensors = tensors
        for number, name in enumerate(tensors):
            size = int(np.prod(known[name])) if name in known else 0
            if size > max(most, large) and self._axis(name, known[name]) < len(known[name]) - 1:
                self._reduce(name, known[name], f"observed:{number}")
                self._reduced[name] = size
            elif name not in self._inputs:
                self._copy.graph.output.append(onnx.ValueInfoProto(name=name))
        self._outputs = tuple(one.name for one in self._copy.graph.output)
        self._model = OnnxModel(self._copy)

    def run(self, batch: Mapping[str, Array]) -> dict[str, Observation]:
        """Run a batch and return what it says of each tensor, by name.

        Raises:
            DataError: If the network does not take the batch.
        """
        found = dict(zip(self._outputs, self._model.run(self._outputs, dict(batch)), strict=True))
        seen = {}
        for number, name in enumerate(self._tensors):
            if name not in self._reduced:
                values = found[name] if name in found else batch[name]
                seen[name] = observe(values, axis=self._axes.get(name), most=self._most)
                continue
            low, high, mean = (found[f"observed:{number}/{kind}"] for kind in _REDUCTIONS)
            seen[name] = Observation(
                minimum=_by_channel(low).min(axis=0),
                maximum=_by_channel(high).max(axis=0),
                mean=_by_channel(mean).mean(axis=0, dtype=np.float64),
                size=self._reduced[name],
                sample=found[f"observed:{number}/sample"],
            )
        return seen

    def close(self) -> None:
        """Release its memory."""
        self._model.close()

    def _axis(self, name: str, shape: Sequence[int]) -> int:
        """Return the axis of a tensor's channels; -1 if it is taken as a whole."""
        return self._axes[name] % len(shape) if name in self._axes else _FLAT

    def _reduce(self, name: str, shape: Sequence[int], prefix: str) -> None:
        graph = self._copy.graph
        flat = f"{prefix}/flat"
        shaped = self._constant(np.array([-1], np.int64))
        graph.node.append(proto.node("Reshape", [name, shaped], flat))
        axis = self._axis(name, shape)
        source, behind = (flat, [0]) if axis == _FLAT else (name, [*range(axis + 1, len(shape))])
        for kind in _REDUCTIONS:
            if proto.opset(self._copy) < _AXES_AS_INPUT:
                node = proto.node(kind, [source], f"{prefix}/{kind}", axes=behind, keepdims=0)
            else:
                axes = self._constant(np.array(behind, np.int64))
                node = proto.node(kind, [source, axes], f"{prefix}/{kind}", keepdims=0)
            graph.node.append(node)
        places = self._constant(sample_places(int(np.prod(shape)), self._most))
        graph.node.append(proto.node("Gather", [flat, places], f"{prefix}/sample"))
        graph.output.extend(
            onnx.ValueInfoProto(name=f"{prefix}/{what}") for what in (*_REDUCTIONS, "sample")
        )

    def _constant(self, values: Array) -> str:
        """Return the name of a constant; equal ones are stored once."""
        key = values.tobytes()
        if key not in self._constants:
            name = f"observed:constant/{len(self._constants)}"
            self._copy.graph.initializer.append(proto.tensor(name, values))
            self._constants[key] = name
        return self._constants[key]


def observe(array: Array, *, axis: int | None, most: int) -> Observation:
    """Return what a tensor holds.

    Args:
        array: float32, any shape.
        axis: That of its channels; None to take all of it together.
        most: Values to take a sample of; all if there are fewer.
    """
    values = array.reshape(1, 1, -1) if axis is None else _around(array, axis)
    sample = array.reshape(-1)
    if array.size > most:
        sample = sample[sample_places(array.size, most)]
    if not array.size:
        empty = np.zeros(0, np.float32)
        return Observation(minimum=empty, maximum=empty, mean=empty, size=0, sample=sample)
    mean = values.mean(axis=2, dtype=np.float32).mean(axis=0, dtype=np.float64)
    return Observation(
        minimum=values.min(axis=2).min(axis=0),
        maximum=values.max(axis=2).max(axis=0),
        mean=mean,
        size=array.size,
        sample=sample,
    )


@functools.lru_cache(maxsize=512)
def sample_places(size: int, count: int) -> Array:
    """Return pseudo-random places in a tensor of so many values, int64 [count], ascending."""
    return (positions(count) * size).astype(np.int64)


def _static_shapes(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of float32 tensors that follow from those of the inputs."""
    if not shapes or is_large(model):
        return {}
    fixed = proto.copy_of(model)
    del fixed.graph.value_info[:]
    for one in fixed.graph.input:
        if one.name in shapes:
            del one.type.tensor_type.shape.dim[:]
            for size in shapes[one.name]:
                one.type.tensor_type.shape.dim.add().dim_value = size
    inferred = shape_inference.infer_shapes(fixed, data_prop=True).graph
    found = {}
    for one in (*inferred.value_info, *inferred.input):
        shape = proto.shape_of(one)
        if shape is None or None in shape or proto.dtype_of(one) != np.float32:
            continue
        found[one.name] = tuple(size for size in shape if size is not None)
    return found


def _around(array: Array, axis: int) -> Array:
    """Return [before the channels, channels, behind them]; a view."""
    axis %= array.ndim
    shape = array.shape
    return array.reshape(int(np.prod(shape[:axis])), shape[axis], -1)


def _by_channel(reduced: Array) -> Array:
    """Return [before the channels, channels] of what was reduced behind them."""
    return reduced.reshape(-1, reduced.shape[-1] if reduced.ndim else 1)
