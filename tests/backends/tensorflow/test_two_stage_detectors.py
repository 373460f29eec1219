"""Two-stage detectors in the form of TF1's zoo: both stages become int8, nothing else changes."""

from collections import Counter

import numpy as np
import pytest
from graphs import run

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.model import find_inputs
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.detectors import (
    FULL_SIZE,
    INPUT,
    MASKS,
    RAW_OUTPUTS_OF_TWO_STAGES,
    TWO_STAGE,
    DetectorSpec,
    build_detector,
    output_names,
)

SMALL = {"size": 64, "classes": 3, "width": 0.125, "units": (1, 1, 1, 1)}
SPECS = {
    network: DetectorSpec(
        network=network, **SMALL, proposals=10, detections=6, score_threshold=0.05
    )
    for network in TWO_STAGE
}
INT8_OPS = frozenset({"Conv2D", "MatMul"})


def images(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return {INPUT: rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)}


@pytest.fixture(scope="module", params=TWO_STAGE)
def detector(request):
    spec = SPECS[request.param]
    graph_def = build_detector(spec)
    names = (*output_names(spec), *RAW_OUTPUTS_OF_TWO_STAGES)
    network = compile_graph(graph_def, inputs=(INPUT,), outputs=names, batches=[images(4, 70, 90)])
    return spec, graph_def, names, network, network.emit()


def test_the_form_of_the_published_graphs(detector):
    spec, graph_def, *_ = detector
    masks = spec.network == "mask_rcnn"
    assert find_inputs(graph_def) == (INPUT,)
    counts = Counter(node.op for node in graph_def.node)
    assert counts["CropAndResize"] == 1 + masks
    assert counts["Conv2DBackpropInput"] == 2 * masks
    assert counts["LoopCond"] == 3
    assert counts["SpaceToBatchND"] == counts["BatchToSpaceND"] == 1
    assert counts["Add"] > counts["AddV2"] == 0
    assert len(output_names(spec)) == 4 + masks


def test_a_full_size_one_is_as_large_as_the_published_ones():
    spec = FULL_SIZE["faster_rcnn_resnet101"]
    counts = Counter(node.op for node in build_detector(spec).node)
    assert counts["Conv2D"] > 100
    assert sum(counts.values()) > 10_000


def test_height_and_width_are_known_at_run_time_only(detector):
    shapes = Shapes(detector[3].graph)
    assert shapes.of("Preprocessor/sub")[1:3] == (None, None)
    assert shapes.of("MaxPool2D/MaxPool")[1:3] == (7, 7)


def test_every_convolution_of_both_stages_is_int8(detector):
    _, graph_def, _, network, emitted = detector
    anchors = {node.name for node in graph_def.node if node.op in INT8_OPS}
    pool = "SecondStageBoxPredictor/AvgPool"
    assert set(emitted.plan.groups) == anchors | {pool}
    left = Counter(node.op for node in emitted.graph_def.node)
    assert not any(left[op] for op in (*INT8_OPS, "FusedBatchNorm"))
    given = {node.name: node for node in graph_def.node}
    result = {node.name: node for node in emitted.graph_def.node}
    inside = conditional_nodes(Graph(graph_def, inputs=(INPUT,), outputs=output_names(detector[0])))
    assert len(inside) > 500
    kept = ("CropAndResize", "Conv2DBackpropInput", "NonMaxSuppressionV3", "Exit", "Assert")
    names = {name for name, node in given.items() if node.op in kept} | {
        name for name in inside if name in result
    }
    assert all(result[name].op == given[name].op for name in names)


@pytest.mark.parametrize("size", [(1, 64, 64), (3, 90, 70), (2, 40, 120)])
def test_int8_runs_on_images_of_any_size_and_is_close(detector, size):
    spec, graph_def, names, network, emitted = detector
    feed = images(*size, seed=2)
    fp32, cleaned, int8 = (
        dict(zip(names, run(g, names, feed), strict=True))
        for g in (graph_def, network.graph_def, emitted.graph_def)
    )
    for name in names:
        assert fp32[name].shape == int8[name].shape
        np.testing.assert_allclose(fp32[name], cleaned[name], rtol=1e-3, atol=1e-4)
    if MASKS in fp32:
        assert fp32[MASKS].shape == (size[0], spec.detections, 28, 28)
    # Proposals differ a little, so only their distribution can be compared.
    for name in RAW_OUTPUTS_OF_TWO_STAGES:
        one, two = (np.sort(values[name], axis=None) for values in (fp32, int8))
        assert sqnr(one, two) > 15
