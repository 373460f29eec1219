"""Detectors in the form of TF1's zoo: only the convolutional trunk changes."""

from collections import Counter

import numpy as np
import pytest
from graphs import cleaned, run

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.model import find_inputs, find_outputs
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.detectors import (
    INPUT,
    OUTPUTS,
    RAW_OUTPUTS,
    DetectorSpec,
    build_detector,
)
from lpot_examples.testing.simulation import Simulation

SMALL = {"size": 64, "classes": 3, "width": 0.125, "score_threshold": 0.03, "detections": 20}
SPECS = {
    "ssd_resnet50_fpn": DetectorSpec(**SMALL, units=(1, 1, 1, 1)),
    "ssd_mobilenet_v1": DetectorSpec(network="ssd_mobilenet_v1", **SMALL),
}
ALL = (*OUTPUTS, *RAW_OUTPUTS)
CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})


def images(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return {INPUT: rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)}


@pytest.fixture(scope="module", params=list(SPECS))
def detector(request):
    """A detector, its compilation and the graph with everything in int8."""
    graph_def = build_detector(SPECS[request.param])
    network = compile_graph(graph_def, inputs=(INPUT,), outputs=ALL, batches=[images(8, 70, 90)])
    return graph_def, network, network.emit()


@pytest.mark.parametrize(
    ("network", "convolutions", "depthwise", "batch_norms"),
    [("ssd_resnet50_fpn", 110, 0, 97), ("ssd_mobilenet_v1", 34, 13, 35)],
)
def test_the_form_of_the_published_graphs(network, convolutions, depthwise, batch_norms):
    graph_def = build_detector(DetectorSpec(network=network, **SMALL))
    assert find_inputs(graph_def) == (INPUT,)
    assert find_outputs(graph_def) == OUTPUTS
    counts = Counter(node.op for node in graph_def.node)
    assert counts["Conv2D"] == convolutions
    assert counts["DepthwiseConv2dNative"] == depthwise
    assert counts["FusedBatchNorm"] == batch_norms
    loops = ("Enter", "Merge", "Switch", "NextIteration", "Exit", "LoopCond", "TensorArrayV3")
    assert all(counts[op] for op in loops)
    assert counts["NonMaxSuppressionV2"] + counts["NonMaxSuppressionV3"] == SMALL["classes"]
    assert counts["Add"] > counts["AddV2"] == 0
    assert not graph_def.library.function


def test_all_convolutions_are_int8_from_the_image_on(detector):
    graph_def, network, emitted = detector
    anchors = {node.name for node in graph_def.node if node.op in CONVOLUTIONS}
    assert set(emitted.plan.groups) == anchors
    assert emitted.plan.boundaries == ("Preprocessor/sub",)
    left = Counter(node.op for node in emitted.graph_def.node)
    assert not any(left[op] for op in (*CONVOLUTIONS, "FusedBatchNorm", "Relu", "Relu6", "MaxPool"))
    # The box and class predictors of each feature map, and nothing else, become real again.
    predictors = [name for name in anchors if "Predictor" in name and "Tower" not in name]
    assert left["Dequantize"] == len(predictors)


def test_kernels_that_five_levels_share_make_a_group_per_level():
    graph_def = build_detector(SPECS["ssd_resnet50_fpn"])
    graph, report = cleaned(graph_def, outputs=ALL, inputs=(INPUT,))
    readers = Counter(
        node.input[1] for node in graph_def.node if node.op == "Conv2D" and "Predict" in node.name
    )
    assert list(readers.values()) == [5] * 10
    original = Graph(graph_def, inputs=(INPUT,), outputs=ALL)
    tower = "WeightSharedConvolutionalBoxPredictor/BoxPredictionTower/conv2d_1"
    shared = original.constant(f"{tower}/weights")
    for level, suffix in enumerate(("", *(f"_{number}" for number in range(1, 5)))):
        folded = graph.constant(graph.nodes[f"{tower}/Conv2D{suffix}"].input[1])
        gamma, variance = (
            original.constant(f"{tower}/BatchNorm/feature_{level}/{name}")
            for name in ("gamma", "moving_variance")
        )
        np.testing.assert_allclose(
            folded, shared * gamma / np.sqrt(variance + 1e-3), rtol=1e-5, atol=1e-7
        )
    assert report.applied["fold_batch_norm"] == 61


def test_nothing_in_a_loop_is_touched(detector):
    graph_def, network, emitted = detector
    inside = conditional_nodes(Graph(graph_def, inputs=(INPUT,), outputs=ALL))
    assert len(inside) > 300
    given = {node.name: node for node in graph_def.node}
    result = {node.name: node for node in emitted.graph_def.node}
    kept = [name for name in inside if name in result]
    assert {given[name].op for name in inside if name not in result} <= {"Const", "Identity"}
    for name in kept:
        assert result[name].op == given[name].op
        assert list(result[name].input) == list(given[name].input)
    for op in ("NonMaxSuppressionV2", "NonMaxSuppressionV3", "Where", "Assert", "Exit", "TopKV2"):
        names = {name for name, node in given.items() if node.op == op}
        assert names == {name for name, node in result.items() if node.op == op}


def test_cleaning_changes_no_output(detector):
    graph_def, network, _ = detector
    feed = images(2, 50, 64, seed=1)
    for before, after in zip(
        run(graph_def, ALL, feed), run(network.graph_def, ALL, feed), strict=True
    ):
        np.testing.assert_allclose(before, after, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 64, 64), (3, 90, 70), (2, 31, 200)])
def test_int8_runs_on_images_of_any_size_and_is_close(detector, size):
    graph_def, network, emitted = detector
    feed = images(*size, seed=2)
    fp32, int8 = (run(g, ALL, feed) for g in (graph_def, emitted.graph_def))
    for one, two in zip(fp32, int8, strict=True):
        assert one.shape == two.shape
        assert one.dtype == two.dtype == np.float32
    boxes, logits = (pair for pair in zip(fp32[4:], int8[4:], strict=True))
    assert sqnr(*boxes) > 15
    centered = [value - fp32[5].mean() for value in logits]
    assert sqnr(*centered) > 15
    assert int8[0].min() > 0
    assert np.all((int8[2] >= 0) & (int8[2] <= 1))


def test_int8_does_what_its_simulation_says(detector):
    _, network, emitted = detector
    assert Simulation(network, emitted).check(images(2, 64, 64, seed=3)).worst[1] <= 1


@pytest.mark.parametrize(
    ("upsampling", "batch_norm"),
    [("ones", "arithmetic"), ("stack", "FusedBatchNormV3"), ("resize", "arithmetic")],
)
def test_every_spelling_gives_the_same_trunk(upsampling, batch_norm):
    spec = DetectorSpec(
        **SMALL, units=(1, 1, 1, 1), upsampling=upsampling, batch_norm=batch_norm, add_v2=True
    )
    graph_def = build_detector(spec)
    graph, report = cleaned(graph_def, outputs=ALL, inputs=(INPUT,))
    assert report.applied["fold_batch_norm"] == 61
    trunk = Counter(n.op for n in graph if n.name.startswith(("FeatureExtractor", "WeightShared")))
    assert trunk["ResizeNearestNeighbor"] == 2
    assert not any(trunk[op] for op in ("Mul", "Sub", "Tile", "Pack", "Reshape", "Pad"))
    feed = images(2, 64, 64)
    for one, two in zip(
        run(graph_def, RAW_OUTPUTS, feed),
        run(graph.to_graph_def(), RAW_OUTPUTS, feed),
        strict=True,
    ):
        assert sqnr(one, two) > 90


def test_shapes_behind_the_loop_of_the_preprocessor_are_known(detector):
    graph_def, network, _ = detector
    shapes = Shapes(network.graph)
    assert shapes.of("Preprocessor/sub") == (None, 64, 64, 3)
    assert shapes.of(RAW_OUTPUTS[1])[2] == SMALL["classes"] + 1
    # Inside the loop, of which the convolutions know nothing.
    assert shapes.of("Preprocessor/map/while/ResizeImage/resize/ResizeBilinear")[1:3] == (64, 64)
