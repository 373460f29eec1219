"""Where int8 is compared with fp32: in front of decisions."""

from dataclasses import replace

import numpy as np
import pytest

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.compared import compared_tensors
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.quantization import _instruction_set
from lpot_examples.testing.detectors import (
    INPUT,
    OUTPUTS,
    DetectorSpec,
    build_detector,
    output_names,
)

SMALL = DetectorSpec(
    network="ssd_mobilenet_v1", size=64, classes=3, width=0.25, detections=5, score_threshold=1e-3
)


def built(build):
    """The GraphDef of what ``build(tf, image)`` makes; weights are seeded."""
    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], "image")
        build(tf, image)
    return graph.as_graph_def()


def conv(tf, x, channels, name, seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 3, x.shape[-1], channels)).astype(np.float32) / 6
    return tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME", name=name), name=f"{name}/relu")


def compared(graph_def, outputs, groups):
    graph = Graph(graph_def, inputs=("image",), outputs=outputs)
    return compared_tensors(graph, groups)


def test_without_decisions_the_outputs_are_compared():
    graph_def = built(
        lambda tf, x: tf.nn.softmax(tf.reduce_mean(conv(tf, x, 4, "c", 0), [1, 2]), name="p")
    )
    found = compared(graph_def, ("p",), ["c", "c/relu"])
    assert (found.fetched, found.given, found.inner) == (("p",), (), False)


def test_logits_are_compared_where_the_output_is_the_index_of_the_largest():
    def build(tf, x):
        tf.argmax(
            tf.identity(tf.reduce_mean(conv(tf, x, 4, "c", 0), [1, 2]), name="logits"),
            1,
            name="class",
        )

    found = compared(built(build), ("class",), ["c", "c/relu"])
    assert found.fetched == ("logits",)


def test_a_shape_is_no_decision():
    def build(tf, x):
        y = conv(tf, x, 4, "c", 0)
        tf.reshape(y, [tf.shape(y)[0], -1], name="flat")

    assert compared(built(build), ("flat",), ["c", "c/relu"]).fetched == ("flat",)


def test_a_decision_that_no_group_takes_part_in_is_none():
    def build(tf, x):
        mask = tf.cast(x > 0.5, tf.float32)
        tf.reduce_mean(conv(tf, x * mask, 4, "c", 0), [1, 2], name="out")

    assert compared(built(build), ("out",), ["c", "c/relu"]).fetched == ("out",)


def two_stages(tf, x):
    """First stage → the three best places → crops → second stage."""
    features = conv(tf, x, 4, "first", 0)
    scores = tf.reshape(features[..., 0], [-1, 256], name="scores")
    place = tf.math.top_k(scores, 3).indices
    row = tf.cast(tf.reshape(place, [-1]) // 16, tf.float32) / 16
    boxes = tf.stack([row * 0.5, row * 0.5, row * 0.5 + 0.4, row * 0.5 + 0.4], 1, name="boxes")
    owner = tf.reshape(tf.tile(tf.range(tf.shape(x)[0])[:, None], [1, 3]), [-1])
    crops = tf.image.crop_and_resize(features, boxes, owner, [4, 4], name="crops")
    second = conv(tf, crops, 5, "second", 1)
    logits = tf.reduce_mean(second, [1, 2], name="logits")
    tf.argmax(logits, 1, name="classes")


def test_the_second_stage_is_given_what_the_first_one_of_fp32_chose():
    groups = ["first", "first/relu", "second", "second/relu"]
    found = compared(built(two_stages), ("classes",), groups)
    assert found.given == ("boxes",)
    assert found.fetched == ("logits", "scores")
    assert found.inner


def backend_of(graph_def, inputs, outputs):
    model = TensorFlowModel(graph_def, inputs=inputs, outputs=outputs)
    return TensorFlowBackend(model, _instruction_set(None))


def errors(backend, batches):
    statistics = backend.calibrate(iter(batches), sizes=[len(batches)])[len(batches)]
    int8 = backend.emit(TuningConfig(samples=len(batches)), statistics)
    found = []
    for batch, reference in zip(batches, backend.references(batches), strict=True):
        outputs = backend.raw_outputs(int8, batch, reference)
        for wanted, got in zip(reference.outputs, outputs, strict=True):
            assert wanted.shape == got.shape
            found.append(float(((wanted - got) ** 2).sum() / (wanted**2).sum()))
    return found


def test_int8_of_two_stages_is_close_where_it_is_compared():
    rng = np.random.default_rng(3)
    batches = [{"image": rng.random((2, 16, 16, 3), np.float32)} for _ in range(4)]
    backend = backend_of(built(two_stages), ("image",), ("classes",))
    found = errors(backend, batches)
    assert len(found) == 8
    assert 0 < np.median(found) < 0.01


def test_detectors_are_compared_in_front_of_their_suppression():
    rng = np.random.default_rng(4)
    batches = [{INPUT: rng.integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)} for _ in range(3)]
    backend = backend_of(build_detector(SMALL), (INPUT,), OUTPUTS)
    found = errors(backend, batches)
    assert len(found) == 6  # boxes and scores
    assert 0 < np.mean(found) < 0.3
    boxes = backend.references(batches)[0].outputs[0]
    # What all images share, the anchors, is taken out.
    assert np.abs(boxes).mean() < 0.2


def test_masks_are_compared_on_the_boxes_that_fp32_found():
    spec = replace(SMALL, network="mask_rcnn", size=96, units=(1, 1, 1, 1))
    rng = np.random.default_rng(6)
    batches = [{INPUT: rng.integers(0, 256, (1, 96, 96, 3)).astype(np.uint8)} for _ in range(2)]
    backend = backend_of(build_detector(spec), (INPUT,), output_names(spec))
    references = backend.references(batches)
    assert len(references[0].given) == 2  # proposals, and the boxes that get masks
    assert any(array.ndim == 3 and array.shape[1:] == (28, 28) for array in references[0].outputs)
    assert max(errors(backend, batches)) < 0.2


@pytest.mark.parametrize("count", [1, 3])
def test_references_are_the_fp32_networks_own(count):
    rng = np.random.default_rng(5)
    batches = [{"image": rng.random((1, 16, 16, 3), np.float32)} for _ in range(count)]
    backend = backend_of(built(two_stages), ("image",), ("classes",))
    fp32 = backend.baseline()
    logits = np.concatenate([fp32.run(["logits"], batch)[0] for batch in batches])
    got = np.concatenate([one.outputs[0] for one in backend.references(batches)])
    np.testing.assert_allclose(got, logits - logits.mean(0), atol=1e-5)
