"""Every second, fourth or eighth channel by word arithmetic: bit for bit what NumPy takes."""

import itertools

import numpy as np
import pytest
from graphs import build, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.emit.interleaved import interleaved_channels
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.slices import dense_slices
from lpot_examples.testing.simulation import Simulation

PHASES = [(step, first) for step in (2, 4, 8) for first in range(step)]


def read(tf, x, constant, *, padded, name):
    """Let an int8 convolution read a tensor, so that it is carried; padded if it must be s8."""
    size = 3 if padded else 1
    channels = int(x.shape[-1])
    return tf.nn.conv2d(x, constant(size, size, channels, 2), 1, "SAME", name=name)


@pytest.fixture(scope="module", params=["u8", "s8"])
def all_phases(request):
    """Every step and first channel, one slice each, of a tensor of that encoding."""
    signed = request.param == "s8"

    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 6, 5, 4), constant(3, 3, 4, 16), 1, "SAME", name="source")
        x = x if signed else tf.nn.relu(x)
        made = [
            read(tf, x[..., first::step], constant, padded=signed, name=f"o_{step}_{first}")
            for step, first in PHASES
        ]
        tf.add_n(made, name="o")

    network = compiled(build(function), {"x": data(4, 6, 5, 4)})
    emitted = network.emit()
    source = "source" if signed else "Relu"
    assert emitted.plan.encodings[source].dtype == request.param
    return network, emitted, source


@pytest.mark.parametrize("batch", [1, 3])
def test_every_step_and_first_channel(all_phases, batch):
    network, emitted, made = all_phases
    slices = ops(network.graph_def, "StridedSlice")
    assert len(slices) == len(PHASES)
    assert not ops(emitted.graph_def, "StridedSlice")
    deviation = Simulation(network, emitted).check({"x": data(batch, 6, 5, 4, seed=batch)})
    source = deviation.int8[made]
    assert len(np.unique(source)) > 100
    for (step, first), name in zip(PHASES, slices, strict=True):
        np.testing.assert_array_equal(deviation.int8[name], source[..., first::step])
    assert deviation.worst[1] <= 1


def test_slices_of_one_tensor_share_its_words(all_phases):
    _, emitted, _ = all_phases
    words = [n for n in emitted.graph_def.node if n.name.rpartition("/")[2].startswith("words_")]
    assert len([n for n in words if n.op == "Bitcast"]) == 3


FORMS = {
    "all dimensions": lambda x: x[:, :, :, 1::2],
    "ellipsis": lambda x: x[..., 1::2],
    "ellipsis for nothing": lambda x: x[:, :, :, ..., 1::2],
    "ellipsis inside": lambda x: x[:, ..., 1::2],
    "full bounds": lambda x: x[:, 0:6, 0:5, 1:8:2],
    "last channel left out": lambda x: x[..., 0:7:2],
    "beyond the end": lambda x: x[..., 0:100:2],
    "negative begin": lambda x: x[..., -8::2],
    "negative end": lambda x: x[..., 0:-1:2],
    "negative begin of another phase": lambda x: x[..., -7::2],
    "from the first": lambda x: x[..., :8:4],
}
DECLINED = {
    "step 1": lambda x: x[..., 1:],
    "step 3": lambda x: x[..., ::3],
    "step 6": lambda x: x[..., ::6],
    "backwards": lambda x: x[..., ::-2],
    "a later first channel": lambda x: x[..., 2::2],
    "a part of the channels": lambda x: x[..., 0:6:2],
    "one channel": lambda x: x[..., 1:2],
    "a part of the rows": lambda x: x[:, 1:, :, ::2],
    "every second row": lambda x: x[:, ::2, :, ::2],
    "a part of the batch": lambda x: x[0:1, ..., ::2],
    "the batch from the second": lambda x: x[1:, ..., ::2],
    "turned rows": lambda x: x[:, ::-1, :, ::2],
    "rows only": lambda x: x[:, ::2],
}


def sliced(form, *shape):
    tf = import_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, shape, "x")
        made = form(x)
    graph_def = graph.as_graph_def()
    found = Graph(graph_def, inputs=("x",), outputs=(made.op.name,))
    return found, found.nodes[made.op.name], Shapes(graph_def)


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_are_recognized(name):
    graph, node, shapes = sliced(FORMS[name], None, 6, 5, 8)
    first, step = interleaved_channels(graph, node, shapes)
    x = data(2, 6, 5, 8)
    np.testing.assert_array_equal(x[..., first::step], FORMS[name](x))


@pytest.mark.parametrize("name", DECLINED)
def test_forms_that_are_declined(name):
    graph, node, shapes = sliced(DECLINED[name], None, 6, 5, 8)
    assert interleaved_channels(graph, node, shapes) is None


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        (lambda x: x[..., ::2], (None, 6, 5, 7)),
        (lambda x: x[..., ::4], (None, 6, 5, 6)),
        (lambda x: x[..., ::8], (None, 6, 5, 4)),
        (lambda x: x[..., ::2], (None, None, 5, 8)),
        (lambda x: x[..., ::2], (None, 6, 5, None)),
        (lambda x: x[..., None, ::2], (None, 6, 5, 8)),
        (lambda x: x[:, 0, :, ::2], (None, 6, 5, 8)),
        (lambda x: x[..., 3], (None, 6, 5, 8)),
        (lambda x: x[::2], (None,)),
        (lambda x: x[::2], (8,)),
    ],
    ids=["odd", "6 by 4", "4 by 8", "rows", "channels", "new axis", "shrunk", "one", "flat", "1D"],
)
def test_shapes_that_are_declined(form, shape):
    graph, node, shapes = sliced(form, *shape)
    found = interleaved_channels(graph, node, shapes)
    # A vector of known size has channels like any other tensor.
    assert found == ((0, 2) if shape == (8,) else None)


def test_bounds_computed_at_run_time_are_declined():
    tf = import_tensorflow()

    def form(x):
        begin = tf.stack([0, 0, 0, tf.shape(x)[0] * 0])
        return tf.strided_slice(x, begin, [0] * 4, [1, 1, 1, 2], end_mask=15)

    graph, node, shapes = sliced(form, None, 6, 5, 8)
    assert node.op == "StridedSlice"
    assert interleaved_channels(graph, node, shapes) is None


@pytest.mark.parametrize("name", [*FORMS, *DECLINED])
def test_either_way_the_codes_are_those_of_the_slice(name):
    form = {**FORMS, **DECLINED}[name]

    def function(tf, constant):
        x = tf.nn.relu(tf.nn.conv2d(placeholder(tf, 6, 5, 4), constant(1, 1, 4, 8), 1, "SAME"))
        read(tf, form(x), constant, padded=False, name="o")

    network = compiled(build(function), {"x": data(4, 6, 5, 4)})
    emitted = network.emit()
    (taken,) = ops(network.graph_def, "StridedSlice")
    assert bool(ops(emitted.graph_def, "StridedSlice")) == (name in DECLINED)
    deviation = Simulation(network, emitted).check({"x": data(3, 6, 5, 4, seed=1)})
    np.testing.assert_array_equal(deviation.int8[taken], form(deviation.int8["Relu"]))


def test_a_flat_vector_of_unknown_length():
    """Its only dimension is the batch as well; it must not be taken for channels."""

    def function(tf, constant):
        x = tf.nn.relu(tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 8), 1, "SAME"))
        taken = tf.reshape(tf.reshape(x, [-1])[::2], [-1, 8, 8, 4])
        tf.nn.conv2d(taken, constant(3, 3, 4, 4), 1, "SAME", name="o")

    network = compiled(build(function), {"x": data(4, 8, 8, 4)})
    emitted = network.emit()
    assert "strided_slice" in emitted.plan.movements
    assert Simulation(network, emitted).check({"x": data(3, 8, 8, 4)}).worst[1] <= 1


def test_a_slice_that_is_an_output_too():
    """One half of a quantized tensor is read by an int8 op and fetched, the other only fetched."""

    def function(tf, constant):
        x = placeholder(tf, 4, 4, 8)
        y = tf.concat([tf.sin(x), tf.nn.relu(tf.nn.conv2d(x, constant(1, 1, 8, 8), 1, "SAME"))], 3)
        even = tf.strided_slice(y, [0] * 4, [0] * 4, [1, 1, 1, 2], 15, 15, name="even")
        tf.strided_slice(y, [0, 0, 0, 1], [0] * 4, [1, 1, 1, 2], 7, 15, name="odd")
        tf.nn.conv2d(even, constant(1, 1, 8, 2), 1, "SAME", name="o")

    feed, outputs = {"x": data(4, 4, 4, 8)}, ("even", "odd")
    network = compiled(build(function), feed, outputs=("o", *outputs))
    emitted = network.emit()
    assert {"even", "odd"} <= emitted.plan.movements
    assert Simulation(network, emitted).check(feed).worst[1] <= 1
    wanted, got = (run(g, outputs, feed) for g in (network.graph_def, emitted.graph_def))
    for name, one, other in zip(outputs, wanted, got, strict=True):
        assert np.abs(one - other).max() <= 2 * emitted.plan.encodings[name].scale


def _spec(rng, rank):
    """Return a random index: slices with random bounds and steps, an ellipsis at times."""
    parts = []
    for _ in range(int(rng.integers(1, rank + 1))):
        begin, end = (int(v) if rng.random() < 0.6 else None for v in rng.integers(-9, 10, 2))
        step = int(rng.choice([1, 1, 2, 3, 4, -1, -2]))
        parts.append(slice(begin, end, step))
    if rng.random() < 0.5:
        parts[int(rng.integers(len(parts)))] = Ellipsis
    elif len(parts) < rank and rng.random() < 0.3:
        parts.append(Ellipsis)
    return tuple(parts)


def test_dense_slices_take_what_numpy_takes():
    tf, rng = import_tensorflow(), np.random.default_rng(0)
    graph, cases = tf.Graph(), {}
    with graph.as_default():
        for index, rank in itertools.product(range(120), (1, 2, 3, 4)):
            shape = tuple(rng.integers(1, 8, rank).tolist())
            x = tf.compat.v1.placeholder(tf.float32, shape, f"x_{index}_{rank}")
            spec = _spec(rng, rank)
            cases[x[spec].op.name] = (spec, shape)
    graph_def = graph.as_graph_def()
    found = Graph(graph_def, inputs=(), outputs=tuple(cases))
    for name, (spec, shape) in cases.items():
        values = np.arange(np.prod(shape)).reshape(shape)
        parts = dense_slices(found, found.nodes[name], len(shape))
        assert parts is not None
        assert len(parts) == len(shape)
        np.testing.assert_array_equal(values[tuple(parts)], values[spec], err_msg=str(spec))


@pytest.mark.parametrize(
    "form", [lambda x: x[0], lambda x: x[:, None], lambda x: x[..., 0, :], lambda x: x[..., None]]
)
def test_dense_slices_decline_what_changes_the_rank(form):
    graph, node, _ = sliced(form, 4, 5)
    assert node.op == "StridedSlice"
    assert dense_slices(graph, node, 2) is None


def test_dense_slices_decline_an_unknown_rank():
    graph, node, _ = sliced(lambda x: x[:, 1:], 4, 5)
    assert dense_slices(graph, node, 0) is None
