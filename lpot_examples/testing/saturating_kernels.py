"""One ONNX network of many int8 kernels, with weights and inputs that saturate sums of pairs.

Every input code is 255 and the large weights of a channel have one sign. They stand side by side,
or 2, 3, 4, 8 … places apart in the order (height, width, input channel), so that a kernel which
adds other products than those of neighbours is found out.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from lpot_examples.testing.onnx_networks import NetworkMaker

Array = NDArray[Any]

# How far apart large weights are. At 1 all are alike: neighbours share what fits 16 bits.
_DISTANCES = (1, 2, 3, 4, 8, 16)
_PEAK = np.float32(2.0)
_SIZE = 7

# Size of the window, stride, padding, dilation.
_WINDOWS = ((1, 1, 0, 1), (1, 2, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 2, 0, 1))
_CHANNELS = (1, 2, 3, 4, 5, 17, 32)
# Groups, input channels of a group, output channels of a group.
_GROUPED = ((2, 3, 5), (2, 4, 4), (3, 8, 16), (2, 17, 24), (2, 1, 3), (4, 4, 1))
_DEPTHWISE = (3, 8, 16, 17, 40)
_FEATURES = (1, 2, 3, 4, 7, 33, 130)


@dataclass(frozen=True)
class KernelNetwork:
    """The network and what to feed it.

    Attributes:
        model: The fp32 ``ModelProto``.
        kinds: Output to the kind of kernel that makes it, such as ``Conv 3×3``.
        calibrating: Input to values that make its codes what they should be.
        batch: Input to values whose codes are 255 throughout, one sample each.
    """

    model: Any
    kinds: Mapping[str, str]
    calibrating: Mapping[str, Array]
    batch: Mapping[str, Array]


class _Cases:
    """Kernels beside one another, each with an input of its own."""

    def __init__(self, seed: int, every: int) -> None:
        self.maker = NetworkMaker(seed=seed)
        self._every = every
        self._met: Counter[str] = Counter()
        self.kinds: dict[str, str] = {}
        self.outputs: dict[str, list[int | str]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.signed: set[str] = set()

    def left_out(self, kind: str) -> bool:
        """Tell whether a case is one of those between every so-many-th of its kind."""
        self._met[kind] += 1
        return bool(self._met[kind] % self._every)

    def source(self, *shape: int, negatives: bool = False) -> str:
        name = f"x{len(self.shapes)}"
        self.shapes[name] = shape
        if negatives:
            self.signed.add(name)
        return name

    def weights(self, outputs: int, *shape: int) -> Array:
        """Return [outputs, …] with large weights at distances that differ between the outputs."""
        rng = self.maker.rng
        rows = rng.uniform(0.0, 0.2, (outputs, int(np.prod(shape))))
        for channel, row in enumerate(rows):
            distance = _DISTANCES[(channel + int(rng.integers(6))) % len(_DISTANCES)]
            row[int(rng.integers(distance)) :: distance] = rng.uniform(0.9, 1.0)
        rows[2::3] = np.where(rng.random(rows[2::3].shape) < 0.5, 1.0, 0.1)
        rows *= rng.choice([-1.0, 1.0], (outputs, 1))
        return rows.reshape(outputs, *shape).astype(np.float32)

    def conv(
        self,
        kind: str,
        window: tuple[int, int, int, int],
        *,
        groups: int = 1,
        channels: tuple[int, int],
        negatives: bool = False,
        flat: bool = False,
    ) -> None:
        """Add a convolution; `channels` are a group's, `flat` is over one dimension."""
        if self.left_out(kind):
            return
        size, stride, padding, dilation = window
        read, made = channels
        rank = 1 if flat else 2
        weights = self.weights(groups * made, *[size] * rank, read)
        x = self.source(groups * read, *[_SIZE] * rank, negatives=negatives)
        y = self.maker.op(
            "Conv",
            [x, self.maker.constant(np.moveaxis(weights, -1, 1).copy())],
            group=groups,
            strides=[stride] * rank,
            pads=[padding] * 2 * rank,
            dilations=[dilation] * rank,
        )
        self.add(y, kind, ["n", groups * made, *[f"{y}_{axis}" for axis in range(rank)]])

    def product(self, kind: str, op: str, features: int, made: int, **extra: Any) -> None:
        if self.left_out(kind):
            return
        rows = self.weights(made, features)
        weights = rows if extra.get("transB") else rows.T.copy()
        x = self.source(features)
        y = self.maker.op(op, [x, self.maker.constant(weights)], **extra)
        self.add(y, kind, ["n", made])

    def add(self, output: str, kind: str, shape: list[int | str]) -> None:
        self.kinds[output], self.outputs[output] = kind, shape

    def finish(self) -> KernelNetwork:
        model = self.maker.model(
            {name: ["n", *shape] for name, shape in self.shapes.items()}, self.outputs
        )
        batch = {
            name: np.full((1, *shape), _PEAK, np.float32) for name, shape in self.shapes.items()
        }
        sign = {name: -1 if name in self.signed else 1 for name in batch}
        calibrating = {
            name: np.concatenate([one, one * np.float32(sign[name])]) for name, one in batch.items()
        }
        return KernelNetwork(model, self.kinds, calibrating, batch)


def kernel_network(*, products_only: bool = False, every: int = 1, seed: int = 3) -> KernelNetwork:
    """Return the network.

    Args:
        every: 3 for every third case of a kind.
        products_only: Whether to leave convolutions out, for ranges of run time.
        seed: Of the weights.
    """
    cases = _Cases(seed, every)
    if not products_only:
        _add_convolutions(cases)
    for features, made in itertools.product(_FEATURES, (1, 5, 24)):
        cases.product("MatMul", "MatMul", features, made)
        cases.product("Gemm", "Gemm", features, made, transB=made % 2)
    return cases.finish()


def _add_convolutions(cases: _Cases) -> None:
    for window, read in itertools.product(_WINDOWS, _CHANNELS):
        size, stride, _, dilation = window
        kind = f"Conv {size}×{size}"
        kind += ", strided" if stride > 1 else ", dilated" if dilation > 1 else ""
        for made in (1, 5, 24):
            cases.conv(kind, window, channels=(read, made))
        cases.conv(f"Conv {size}×{size}, zero point", window, channels=(read, 16), negatives=True)
    for window, (groups, read, made) in itertools.product(_WINDOWS, _GROUPED):
        cases.conv("Conv, grouped", window, groups=groups, channels=(read, made))
    for window, channels in itertools.product(_WINDOWS, _DEPTHWISE):
        cases.conv("Conv, depthwise", window, groups=channels, channels=(1, 1))
        cases.conv("Conv, depthwise, zero point", window, groups=channels, channels=(1, 1),
                   negatives=True)  # fmt: skip
        cases.conv("Conv, depthwise, two of each", window, groups=channels, channels=(1, 2))
    for window, read in itertools.product(_WINDOWS, (1, 3, 8)):
        cases.conv("Conv over one dimension", window, channels=(read, 16), flat=True)


def reference(proto: Any, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Run a quantized network op by op: its int8 kernels' parts in fp32, its integers as they are.

    Args:
        proto: The ``ModelProto``.
        batch: Arrays by input name.

    Returns:
        Arrays by output name.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(batch)), strict=True))


def steps(proto: Any, results: Sequence[Mapping[str, Array]]) -> dict[str, float]:
    """Return what one code stands for in each output; 1/255 of the peak of real values.

    Args:
        proto: The ``ModelProto``.
        results: Outputs of it by name.
    """
    maker = {name: node for node in proto.graph.node for name in node.output}
    constants = {one.name: one for one in proto.graph.initializer}
    found = {}
    for name in (one.name for one in proto.graph.output):
        node = maker[name]
        if node.op_type == "DequantizeLinear":
            found[name] = float(numpy_helper.to_array(constants[node.input[1]]))
        else:
            found[name] = max(float(np.abs(one[name]).max()) for one in results) / 255
    return found
