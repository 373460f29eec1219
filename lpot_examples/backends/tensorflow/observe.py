"""Reductions added to a graph, so that a run of it says what its tensors hold.

    tensor ─► minimum, maximum, mean of each channel ─► those of all tensors in one array each
          └─► a sample of its values ─────────────────► those of all tensors in one array

Few arrays are fetched, however many tensors are observed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.graphdef import make_constant, make_node
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.calibration.collected import Observation, positions

Array = NDArray[Any]

_SCOPE, _POSITIONS = "calibration", "positions"

# Values for one sample of what a core's cache holds in a batch of a few.
_SMALL = 1 << 16

# Values taken at one place, where the channels can be divided so.
_NEIGHBOURS = 8


class Observer:
    """Observes tensors of a ``tf.Graph``, to which it adds nodes.

    Args:
        graph: The graph.
        sampled: Names of float32 tensors to observe and to take samples of; at least one.
        others: Names of float32 tensors to observe.
        sample: How many values of a tensor to take for each of a run's samples.

    Attributes:
        has_channels: Whether the tensor of a name has a last dimension behind others.
    """

    def __init__(
        self, graph: Any, sampled: Sequence[str], others: Sequence[str] = (), *, sample: int
    ) -> None:
        self._names = list(dict.fromkeys([*sampled, *others]))
        self._sampled = len(dict.fromkeys(sampled))
        self._each = sample
        tensors = [graph.get_tensor_by_name(_port(name)) for name in self._names]
        self.has_channels = {
            name: (tensor.shape.rank or 0) > 1
            for name, tensor in zip(self._names, tensors, strict=True)
        }
        self._fetches = self._add(graph, tensors)

    def run(self, session: Any, feed: Mapping[str, Array], samples: int) -> dict[str, Observation]:
        """Run the graph.

        Args:
            session: A session of the graph.
            feed: Arrays by input name.
            samples: How many samples they hold.

        Returns:
            What it says of each tensor, by name.
        """
        feeds = {_port(name): array for name, array in feed.items()}
        for width, name in self._positions.items():
            feeds[_port(f"{_SCOPE}/{name}")] = positions(self._each * samples // width)
        low, high, mean, values, channels, taken, sizes = session.run(self._fetches, feeds)
        ends = np.cumsum(channels)[:-1]
        columns = zip(*(np.split(column, ends) for column in (low, high, mean)), strict=True)
        parts: list[Array | None] = [*np.split(values, np.cumsum(taken)[:-1])]
        parts += [None] * (len(self._names) - self._sampled)
        return {
            name: Observation(minimum=a, maximum=b, mean=m, size=int(size), sample=part)
            for name, (a, b, m), size, part in zip(self._names, columns, sizes, parts, strict=True)
        }

    def _add(self, graph: Any, tensors: Sequence[Any]) -> list[Any]:
        """Add the nodes, all at once: one by one they would take longer than a few runs."""
        tf = import_tensorflow()
        nodes = _Nodes()
        inputs = [f"tensor{index}" for index in range(len(tensors))]
        pairs = list(zip(inputs, tensors, strict=True))
        columns = [
            [nodes.by_channel(op, name, tensor.shape) for name, tensor in pairs]
            for op in ("Min", "Max", "Mean")
        ]
        samples = [
            nodes.sample(name, tensor.shape, self._each) for name, tensor in pairs[: self._sampled]
        ]
        fetches = [nodes.concat(parts) for parts in (*columns, samples)]
        fetches += [nodes.sizes(parts) for parts in (columns[0], samples, inputs)]
        self._positions = nodes.positions
        with graph.as_default():
            found: list[Any] = tf.import_graph_def(
                nodes.graph_def(),
                input_map={_port(name): tensor for name, tensor in pairs},
                return_elements=[_port(name) for name in fetches],
                name=_SCOPE,
            )
        return found


class _Nodes:
    """The nodes that observe, in the making. Equal ones are made once."""

    def __init__(self) -> None:
        tf = import_tensorflow()
        self._float, self._double, self._int = tf.float32, tf.float64, tf.int32
        self._made: dict[tuple[Any, ...], Any] = {}
        #: Width of rows to the name of the input that says which of them to take.
        self.positions: dict[int, str] = {}
        self._zero = self._constant(0)

    def graph_def(self) -> Any:
        """Return them; their inputs ``tensor0``, ``tensor1`` … are not among them."""
        from tensorflow.core.framework import graph_pb2

        return graph_pb2.GraphDef(node=self._made.values())

    def by_channel(self, op: str, tensor: str, shape: Any) -> str:
        """Reduce all dimensions but the last; all of a tensor that has no other.

        TensorFlow reduces several outer dimensions with one pass through memory for each few
        channels. What is too large for a cache is reduced along its rows first, and the mean of a
        large image is that of every fourth row.
        """
        rank = shape.rank
        if rank is None or rank < 2:
            return self._reduce(op, self._flat(tensor, [1, -1]), [1])
        static = math.prod(size or 1 for size in shape[1:])
        if rank == 2 or static <= _SMALL:
            return self._reduce(op, tensor, list(range(rank - 1)))
        if op == "Mean" and rank == 4 and shape[1] is not None:
            tensor = self._some_rows(tensor, int(shape[1]))
        return self._reduce(op, self._reduce(op, tensor, [rank - 2]), list(range(rank - 2)))

    def sample(self, tensor: str, shape: Any, each: int) -> str:
        """Take neighbours, of which a line of cache brings several, at random places.

        All values of a small tensor are taken.
        """
        if shape.rank and None not in shape[1:] and math.prod(shape[1:]) <= each:
            return self._flat(tensor, [-1])
        last = shape[-1] if shape.rank else None
        width = math.gcd(last or 1, _NEIGHBOURS)
        per_row = self._constant(1 / width)
        size = self._add("Cast", [self._size(tensor)], SrcT=self._int, DstT=self._double)
        stretch = self._add("Mul", [size, per_row], T=self._double)
        chosen = self._add("Mul", [self._places(width), stretch], T=self._double)
        index = self._add("Cast", [chosen], SrcT=self._double, DstT=self._int)
        rows = self._flat(tensor, [-1, width])
        return self._flat(self._gather(rows, index, axis=0), [-1])

    def _some_rows(self, tensor: str, height: int) -> str:
        """Return every fourth row of images; copied whole, they come faster than from a slice."""
        index = self._constant(list(range(0, height, 4)))
        return self._gather(tensor, index, axis=1)

    def _gather(self, tensor: str, index: str, *, axis: int) -> str:
        types = {"Tparams": self._float, "Tindices": self._int, "Taxis": self._int}
        return self._add("GatherV2", [tensor, index, self._constant(axis)], **types)

    def _places(self, width: int) -> str:
        """Return the input that holds the positions of rows of a width."""
        if width not in self.positions:
            name = f"{_POSITIONS}{width}"
            self.positions[width] = name
            self._made[name,] = make_node("Placeholder", name, [], dtype=self._double)
        return self.positions[width]

    def concat(self, parts: Sequence[str]) -> str:
        """Put vectors of floats one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return self._add(
            "ConcatV2", [*parts, self._zero], N=len(parts), T=self._float, Tidx=self._int
        )

    def sizes(self, parts: Sequence[str]) -> str:
        """Return how many values each has, as one vector."""
        sizes = [self._size(part) for part in parts]
        return self._add("Pack", sizes, N=len(sizes), T=self._int, axis=0)

    def _reduce(self, op: str, tensor: str, axes: list[int]) -> str:
        types = {"T": self._float, "Tidx": self._int}
        return self._add(op, [tensor, self._constant(axes)], **types, keep_dims=False)

    def _flat(self, tensor: str, shape: list[int]) -> str:
        types = {"T": self._float, "Tshape": self._int}
        return self._add("Reshape", [tensor, self._constant(shape)], **types)

    def _size(self, tensor: str) -> str:
        return self._add("Size", [tensor], T=self._float, out_type=self._int)

    def _constant(self, value: Any) -> str:
        key = ("Const", repr(value))
        if key not in self._made:
            array = np.array(value, np.float64 if isinstance(value, float) else np.int32)
            self._made[key] = make_constant(f"n{len(self._made)}", array)
        return str(self._made[key].name)

    def _add(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        key = (op, *inputs)
        if key not in self._made:
            self._made[key] = make_node(op, f"n{len(self._made)}", inputs, **attrs)
        return str(self._made[key].name)


def _port(name: str) -> str:
    return name if ":" in name else f"{name}:0"
