"""Small ONNX networks with random weights, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]


class NetworkMaker:
    """Puts an ONNX network together, op by op.

    Args:
        seed: Of the weights.
        opset: Of ONNX's own ops.
    """

    def __init__(self, *, seed: int = 0, opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self._opset = opset
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def constant(self, values: Any, name: str = "") -> str:
        """Add an initializer and return its name."""
        name = name or f"c{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], *, name: str = "", **attributes: Any) -> str:
        """Add a node with one output and return that tensor's name."""
        output = f"t{len(self._nodes)}"
        node = helper.make_node(kind, list(inputs), [output], name=name, **attributes)
        self._nodes.append(node)
        return output

    def conv(
        self, x: str, channels: tuple[int, int], *, size: int = 3, groups: int = 1, **extra: Any
    ) -> str:
        """Add a convolution that keeps the image's size, with a bias."""
        read, made = channels
        shape = (made, read // groups, size, size)
        weights = self.rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        bias = self.rng.normal(0, 0.1, made).astype(np.float32)
        inputs = [x, self.constant(weights), self.constant(bias)]
        return self.op("Conv", inputs, pads=[size // 2] * 4, group=groups, **extra)

    def matmul(self, x: str, channels: tuple[int, int]) -> str:
        """Add a product with a matrix of weights."""
        read, made = channels
        weights = self.rng.normal(0, read**-0.5, (read, made)).astype(np.float32)
        return self.op("MatMul", [x, self.constant(weights)])

    def model(
        self, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, Sequence[int | str]]
    ) -> Any:
        """Return the ``ModelProto``, checked.

        Args:
            inputs: Shape by name; text for a free dimension.
            outputs: Likewise, of tensors made here.
        """
        graph = helper.make_graph(
            self._nodes,
            "network",
            [_value(name, shape) for name, shape in inputs.items()],
            [_value(name, shape) for name, shape in outputs.items()],
            self._weights,
        )
        imports = [helper.make_opsetid("", self._opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def image_network(*, batch: int | str = "batch", opset: int = 17, seed: int = 0) -> Any:
    """Return a network of images [batch, 3, 16, 16] with most of what int8 kernels take.

    Convolutions, one of them depthwise, batch-norm, a residual sum, branches that are put together,
    pools, resizing, a Clip, a Gemm and a softmax.
    """
    maker = NetworkMaker(seed=seed, opset=opset)
    x = maker.op("Relu", [maker.conv("image", (3, 8))])
    wide = _batch_norm(maker, maker.conv(x, (8, 8)), 8)
    x = maker.op("Relu", [maker.op("Add", [x, wide])])
    x = maker.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    deep = maker.conv(x, (8, 8), groups=8)
    deep = maker.op("Clip", [deep, maker.constant(np.float32(0)), maker.constant(np.float32(6))])
    side = maker.op("Relu", [maker.conv(x, (8, 4), size=1)])
    x = maker.op("Concat", [deep, side], axis=1)
    x = maker.op("Relu", [maker.conv(x, (12, 16))])
    scales = maker.constant(np.array([1, 1, 2, 2], np.float32))
    x = maker.op(
        "Resize",
        [x, maker.constant(np.zeros(0, np.float32)), scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    x = maker.conv(x, (16, 16))
    x = maker.op("Flatten", [maker.op("GlobalAveragePool", [x])])
    weights = maker.rng.normal(0, 0.5, (10, 16)).astype(np.float32)
    bias = maker.rng.normal(0, 0.1, 10).astype(np.float32)
    x = maker.op("Gemm", [x, maker.constant(weights), maker.constant(bias)], transB=1)
    x = maker.op("Softmax", [x], axis=1)
    return maker.model({"image": [batch, 3, 16, 16]}, {x: [batch, 10]})


def resnet_network(*, width: int = 4, size: int = 32, opset: int = 11, seed: int = 0) -> Any:
    """Return ResNet-50 v1 with narrow layers: 16 bottlenecks with batch-norm, 53 convolutions.

    Args:
        width: Channels of the first layer; 64 in the original.
        size: Of the images, pixels.
        opset: Of ONNX's own ops.
        seed: Of the weights.
    """
    maker = NetworkMaker(seed=seed, opset=opset)

    def layer(x: str, channels: tuple[int, int], kernel: int, stride: int = 1) -> str:
        made = maker.conv(x, channels, size=kernel, strides=[stride, stride])
        return _batch_norm(maker, made, channels[1])

    x = maker.op("Relu", [layer("image", (3, width), 7, 2)])
    x = maker.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = maker.op("Relu", [layer(x, (channels, inner), 1)])
            y = maker.op("Relu", [layer(y, (inner, inner), 3, stride)])
            y = layer(y, (inner, 4 * inner), 1)
            shortcut = x if block else layer(x, (channels, 4 * inner), 1, stride)
            x, channels = maker.op("Relu", [maker.op("Add", [y, shortcut])]), 4 * inner
    x = maker.op("Flatten", [maker.op("GlobalAveragePool", [x])])
    weights = maker.rng.normal(0, channels**-0.5, (10, channels)).astype(np.float32)
    x = maker.op(
        "Gemm", [x, maker.constant(weights), maker.constant(np.zeros(10, np.float32))], transB=1
    )
    return maker.model({"image": ["batch", 3, size, size]}, {x: ["batch", 10]})


def encoder_network(*, seed: int = 0, width: int = 16, layers: int = 2) -> Any:
    """Return a small transformer encoder: [batch, 6, width] to the same shape."""
    maker = NetworkMaker(seed=seed)
    x = "tokens"
    for _ in range(layers):
        q, k, v = (_biased(maker, maker.matmul(x, (width, width)), width) for _ in range(3))
        scores = maker.op("MatMul", [q, maker.op("Transpose", [k], perm=[0, 2, 1])])
        scaled = maker.op("Mul", [scores, maker.constant(np.float32(width**-0.5))])
        mixed = maker.op("MatMul", [maker.op("Softmax", [scaled], axis=-1), v])
        x = _normalized(maker, maker.op("Add", [x, maker.matmul(mixed, (width, width))]), width)
        wide = _biased(maker, maker.matmul(x, (width, 2 * width)), 2 * width)
        narrow = maker.matmul(maker.op("Relu", [wide]), (2 * width, width))
        x = _normalized(maker, maker.op("Add", [x, narrow]), width)
    return maker.model({"tokens": ["batch", 6, width]}, {x: ["batch", 6, width]})


def batches(model: Any, *, count: int = 3, size: int = 4, seed: int = 1) -> list[dict[str, Array]]:
    """Return random batches for a network with float32 inputs."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        batch = {}
        for one in model.graph.input:
            dims = one.type.tensor_type.shape.dim
            shape = [dim.dim_value if dim.HasField("dim_value") else size for dim in dims]
            batch[one.name] = rng.normal(0.2, 1, shape).clip(-3, 3).astype(np.float32)
        found.append(batch)
    return found


def _value(name: str, shape: Sequence[int | str]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _biased(maker: NetworkMaker, x: str, width: int) -> str:
    bias = maker.rng.normal(0, 0.1, width).astype(np.float32)
    return maker.op("Add", [x, maker.constant(bias)])


def _batch_norm(maker: NetworkMaker, x: str, width: int) -> str:
    rng = maker.rng
    values = (rng.uniform(0.5, 1.5, width), rng.normal(0, 0.1, width), rng.normal(0, 0.1, width))
    constants = [maker.constant(one.astype(np.float32)) for one in values]
    variance = maker.constant(rng.uniform(0.5, 1.5, width).astype(np.float32))
    return maker.op("BatchNormalization", [x, *constants, variance])


def _normalized(maker: NetworkMaker, x: str, width: int) -> str:
    scale = maker.constant(maker.rng.uniform(0.5, 1.5, width).astype(np.float32))
    return maker.op("LayerNormalization", [x, scale], axis=-1)
