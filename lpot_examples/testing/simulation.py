"""An fp32 simulation of an int8 graph, and a check of every eight-bit tensor against it.

    x ─► Conv2D(W) ─► y      x ─► fake ─► Conv2D(W̃) ─► y ─► fake ─►
                         ══►

W̃ are the emitted weights as reals, and ``fake`` rounds to the codes of the tensor's encoding. Run
freely, the simulation tells what an int8 graph should give. Forced with the codes of a real run, it
tells for each op by itself whether the op's kernel is right, whatever the ops in front of it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.emit import Emitted
from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.encoding import Encoding
from lpot_examples.quantize.weights import QuantizedWeights
from lpot_examples.testing.compilation import Compilation
from lpot_examples.testing.oracle import emitted_weights, paddings, steps

# A tensor that was zero on all calibration data has a scale of about 4e-11, of which sums overflow
# 32 bits; whatever its codes are, they stand for nothing.
_NOTHING = 1e-9

Array = NDArray[Any]
Feed = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How an int8 run differs from its simulation.

    Attributes:
        codes: Tensor name to the largest difference of codes, each op judged by itself.
        int8: Tensor name to the codes of the int8 run.
        outputs: The int8 graph's outputs.
        forced: The same outputs, computed in fp32 from the int8 run's eight-bit tensors.
    """

    codes: Mapping[str, int]
    int8: Mapping[str, Array]
    outputs: list[Array]
    forced: list[Array]

    @property
    def worst(self) -> tuple[str, int]:
        """The tensor of the largest difference, and the difference."""
        return max(self.codes.items(), key=lambda item: item[1], default=("", 0))


class Simulation:
    """The fp32 counterpart of an emitted graph.

    Args:
        compilation: The network.
        emitted: What was emitted for it.
        config: The configuration it was emitted for; the default one by default.
        session: Keyword options for the sessions of the int8 graph, see `int8_session`.
    """

    def __init__(
        self,
        compilation: Compilation,
        emitted: Emitted,
        config: TuningConfig | None = None,
        **session: Any,
    ) -> None:
        self._network = compilation
        self._emitted = emitted
        self._session = session
        self._encodings = emitted.plan.encodings
        graph = compilation.graph
        self._graph = Graph(compilation.graph_def, inputs=graph.inputs, outputs=graph.outputs)
        emitted_graph = Graph(emitted.graph_def, inputs=graph.inputs, outputs=graph.outputs)
        names, errors = Builder(graph, emitted.plan), dict[str, Array]()
        for group in emitted.plan.groups.values():
            weights = self._real_weights(emitted_weights(emitted_graph, names, group), group)
            _use_weights(self._graph, group, weights)
            errors[group.anchor] = weights - group.weights
        for tensor in self._encodings:
            self._fake(tensor)
        for anchor, error in errors.items():
            if config is not None and config.corrects(anchor):
                self._correct_bias(emitted.plan.groups[anchor], error)
        codes = {name: names.codes(name) for name in self._encodings}
        live = emitted_graph.nodes
        self._codes = {t: name for t, name in codes.items() if split_name(name)[0] in live}

    def run(self, feed: Feed) -> list[Array]:
        """Return what the int8 graph should give, as far as rounding can be foreseen."""
        return _run(self._simulator, self._outputs, feed)

    def run_int8(self, feed: Feed) -> list[Array]:
        """Return the int8 graph's outputs."""
        return _run(self._int8, self._network.graph.outputs, feed)

    def check(self, feed: Feed) -> Deviation:
        """Run the int8 graph, and judge each of its ops by itself."""
        names = list(self._codes)
        outputs = list(self._network.graph.outputs)
        got = _run(self._int8, [self._codes[name] for name in names] + outputs, feed)
        codes = {name: _plain(array) for name, array in zip(names, got[: len(names)], strict=True)}
        real = {_fake_name(name): self._real(name, array) for name, array in codes.items()}
        wanted = _run(self._simulator, names + self._outputs, {**feed, **real})
        differences = {
            name: _difference(self._encodings[name], codes[name], value / self._factors(name))
            for name, value in zip(names, wanted[: len(names)], strict=True)
        }
        count = len(names)
        return Deviation(codes=differences, int8=codes, outputs=got[count:], forced=wanted[count:])

    @property
    def _outputs(self) -> list[str]:
        plan = self._emitted.plan
        return [
            _fake_name(name) if name in self._encodings and name not in plan.boundaries else name
            for name in self._network.graph.outputs
        ]

    @cached_property
    def _simulator(self) -> Any:
        # Optimizing takes longer than its few runs.
        return int8_session(self._graph.to_graph_def(), optimize=False)

    @cached_property
    def _int8(self) -> Any:
        return int8_session(self._emitted.graph_def, **self._session)

    def _factors(self, tensor: str) -> Array:
        return self._emitted.plan.factors.get(tensor, np.ones(1, np.float32))

    def _real(self, tensor: str, codes: Array) -> Array:
        return self._encodings[tensor].dequantize(codes) * self._factors(tensor)

    def _real_weights(self, weights: QuantizedWeights, group: ComputeGroup) -> Array:
        """Return the emitted weights as reals, with the channel factors taken out of them."""
        plan, codes = self._emitted.plan, weights.codes.astype(np.float64)
        scales = weights.scales.astype(np.float64)
        if group.op != "MatMul":
            scales = scales * self._factors(plan.output(group))
        real = codes * scales.reshape([codes.shape[axis] for axis in group.channel_axes])
        shape = [1] * codes.ndim
        shape[0 if group.op == "MatMul" else 2] = -1
        return (real / self._factors(group.source).reshape(shape)).astype(np.float32)

    def _correct_bias(self, group: ComputeGroup, error: Array) -> None:
        """Take off what the weights' rounding adds to each channel's mean."""
        observed = self._network.statistics.channels.get(group.source)
        if observed is None:
            return
        shift = _mean_response(self._network, group, error, observed.mean)
        # The op goes under another name, so that its own stands for the corrected value.
        tf, raw = import_tensorflow(), f"{group.anchor}/raw"
        copy = type(self._graph.nodes[group.anchor])()
        copy.CopyFrom(self._graph.nodes[group.anchor])
        copy.name = raw
        self._graph.insert(copy)
        constant = self._graph.add_constant(f"{raw}/shift", shift.astype(np.float32))
        self._graph.add("Sub", group.anchor, [raw, constant], T=tf.float32)

    def _fake(self, tensor: str) -> None:
        """Put the rounding behind a tensor; at a boundary, only in front of int8 readers."""
        tf = import_tensorflow()
        graph, encoding, name = self._graph, self._encodings[tensor], _fake_name(tensor)
        if tensor in self._emitted.plan.boundaries:
            self._redirect_int8_readers(tensor, name)
        else:
            graph.redirect(tensor, name)
        ends = (-127, 127) if encoding.dtype == "s8" else (0, 255)
        constants = {
            "scale": encoding.scale * self._factors(tensor),
            "low": ends[0] - encoding.zero_point,
            "high": ends[1] - encoding.zero_point,
        }
        scale, low, high = (
            graph.add_constant(f"{name}/{key}", np.asarray(value, np.float32))
            for key, value in constants.items()
        )
        steps = graph.add("RealDiv", f"{name}/steps", [tensor, scale], T=tf.float32)
        whole = graph.add("Rint", f"{name}/whole", [steps], T=tf.float32)
        below = graph.add("Minimum", f"{name}/below", [whole, high], T=tf.float32)
        inside = graph.add("Maximum", f"{name}/inside", [below, low], T=tf.float32)
        graph.add("Mul", name, [inside, scale], T=tf.float32)

    def _redirect_int8_readers(self, tensor: str, fake: str) -> None:
        plan, graph = self._emitted.plan, self._graph
        readers = {name for name in plan.movements}
        for group in plan.groups.values():
            readers.add(group.anchor)
            if group.source == tensor and group.op == "DepthwiseConv2dNative":
                _own_pad(graph, group)
            if group.anchor in plan.sums and group.sum_node is not None:
                readers.add(group.sum_node)
            readers.add(f"{group.anchor}/own_pad")
        for reader in graph.readers(split_name(tensor)[0]):
            for index, source in enumerate(reader.input):
                if reader.name in readers and split_name(source) == split_name(tensor):
                    graph.set_input(reader.name, index, fake)


def int8_session(graph_def: Any, *, inter_op: int = 1, optimize: bool = True) -> Any:
    """Open a session as a stranger would: stock options.

    Args:
        graph_def: The graph.
        inter_op: Threads that run ops side by side.
        optimize: False skips every grappler pass.
    """
    tf = import_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    config = tf.compat.v1.ConfigProto(
        inter_op_parallelism_threads=inter_op, intra_op_parallelism_threads=2
    )
    config.graph_options.rewrite_options.disable_meta_optimizer = not optimize
    return tf.compat.v1.Session(graph=graph, config=config)


def _run(session: Any, names: Any, feed: Feed) -> list[Array]:
    fetches = [name if ":" in name else f"{name}:0" for name in names]
    result: list[Array] = session.run(fetches, {f"{name}:0": value for name, value in feed.items()})
    return result


def _fake_name(tensor: str) -> str:
    return f"{tensor.replace(':', '_port_')}/fake"


def _plain(codes: Array) -> Array:
    """View TensorFlow's quantized arrays as uint8 or int8."""
    if codes.dtype.names is not None:
        return codes[codes.dtype.names[0]]
    return codes


def _difference(encoding: Encoding, codes: Array, real: Array) -> int:
    if codes.shape != real.shape:
        raise AssertionError(f"int8 has the shape {codes.shape}, fp32 {real.shape}")
    if encoding.scale < _NOTHING:
        return 0
    wanted = encoding.quantize(real).astype(np.int64)
    return int(np.abs(codes.astype(np.int64) - wanted).max(initial=0))


def _own_pad(graph: Graph, group: ComputeGroup) -> None:
    """Give a depthwise convolution a Pad of its own, since fp32 ops may read the present one."""
    pad = graph.nodes[split_name(graph.nodes[group.anchor].input[0])[0]]
    if group.explicit_pads is None or pad.op not in ("Pad", "PadV2"):
        return
    copy = type(pad)()
    copy.CopyFrom(pad)
    copy.name = f"{group.anchor}/own_pad"
    graph.set_input(group.anchor, 0, graph.insert(copy))


def _mean_response(
    compilation: Compilation, group: ComputeGroup, error: Array, mean: Array
) -> Array:
    """Return what an op with weights ``error`` makes of an image of means, on the average."""
    if group.op == "MatMul":
        return np.asarray(mean @ error)
    tf, shape = import_tensorflow(), compilation.shapes.of(group.source)
    (down, across), dilations = steps(compilation.graph.nodes[group.anchor])
    strides = [1, down, across, 1]
    if shape is None or None in shape[1:3]:  # as if nothing were padded
        size = [(n - 1) * d + 1 for n, d in zip(error.shape[:2], dilations, strict=True)]
        image = np.broadcast_to(mean, (1, *size, len(mean)))
    else:
        top, bottom, left, right = paddings(compilation, group)
        image = np.broadcast_to(mean, (1, *shape[1:3], len(mean)))  # type: ignore[arg-type]
        image = np.pad(image, ((0, 0), (top, bottom), (left, right), (0, 0)))
    if group.op == "DepthwiseConv2dNative":
        made = tf.nn.depthwise_conv2d(image, error.astype(np.float64), strides, "VALID")
    else:
        made = tf.nn.conv2d(image, error.astype(np.float64), strides, "VALID", dilations=dilations)
    return np.asarray(np.mean(made, axis=(0, 1, 2)))


def _use_weights(graph: Graph, group: ComputeGroup, real: Array) -> None:
    if group.op == "MatMul" and graph.nodes[group.anchor].attr["transpose_b"].b:
        real = real.T
    graph.set_input(group.anchor, 1, graph.add_constant(f"{group.anchor}/emitted_weights", real))
