import re
from pathlib import Path

import pytest

from lpot_examples.data.preprocessing import PREPROCESSINGS
from lpot_examples.errors import LpotError
from lpot_examples.zoo.catalogue import CATALOGUE, find_model
from lpot_examples.zoo.node_names import node_names

ROOT = Path(__file__).parents[2]

# The topologies of zoo networks.
DETECTORS = {
    "ssd_resnet50_v1",
    "ssd_mobilenet_v1",
    "faster_rcnn_inception_resnet_v2",
    "faster_rcnn_resnet101",
    "mask_rcnn_inception_v2",
    "efficientdet_d0",
}
CLASSIFIERS = {
    "vgg16",
    "vgg19",
    "resnet50_v1",
    "resnet_v2_50",
    "resnet_v2_101",
    *(f"inception_v{version}" for version in (1, 2, 3, 4)),
    "mobilenet_v1",
    "mobilenet_v2",
    "densenet121",
    "efficientnet_b0",
}


def test_every_zoo_topology_has_its_network():
    domains = {name: model.domain for name, model in CATALOGUE.items()}
    assert {name for name in domains if domains[name] == "object_detection"} == DETECTORS
    assert {name for name in domains if domains[name] == "classification"} == CLASSIFIERS


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_an_entry_is_complete(model):
    assert re.fullmatch(r"https?://[a-z.]+/\S+\.(tar\.gz|tgz|h5)", model.url)
    assert bool(model.member) != bool(model.application)
    assert not Path(model.member).is_absolute()
    assert model.inputs
    assert model.outputs
    assert bool(model.checksum) == bool(model.checksum_source)
    if model.dataset == "imagenet":
        assert model.preprocessing in PREPROCESSINGS
        assert model.image_size in (224, 299)
        assert len(model.outputs) == 1
    else:
        assert {"num_detections", "detection_boxes"} <= set(model.outputs)
        assert ("detection_masks" in model.outputs) == model.name.startswith("mask_")


def test_an_unknown_name_lists_all_and_the_nearest():
    with pytest.raises(LpotError, match=r"one of ssd_resnet50_v1.*Did you mean 'resnet50_v1'"):
        find_model("resnet_50_v1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [model for model in CATALOGUE.values() if model.application], ids=lambda m: m.name
)
def test_keras_asks_for_the_same_weights(model, monkeypatch):
    """Address, file name and MD5 sum are compared with what the installed Keras would download."""
    keras = pytest.importorskip("keras")
    from keras.src.utils import file_utils

    class AskedError(Exception):
        pass

    def get_file(fname, origin, *_, file_hash=None, **__):
        raise AskedError(fname, origin, file_hash)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    # Only what is asked for matters: weights need not be drawn.
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", _zeros)
    with pytest.raises(AskedError) as asked:
        getattr(keras.applications, model.application)(weights="imagenet")
    keras.backend.clear_session()
    fname, origin, file_hash = asked.value.args
    assert model.checksum.algorithm == "md5"
    assert (model.download_name, model.url, model.checksum.value) == (fname, origin, file_hash)


def _zeros(_, shape, dtype=None, **__):
    from keras import ops

    return ops.zeros(shape, dtype)


def test_names_of_nodes_are_those_that_tensorflow_reads():
    from tensorflow.core.framework import graph_pb2

    network = ROOT / "object_detection" / "ssd_shapes" / "ssd_shapes.pb"
    graph = graph_pb2.GraphDef.FromString(network.read_bytes())
    assert node_names(network) == {node.name for node in graph.node}


def test_what_is_no_graph_is_named(tmp_path):
    file = tmp_path / "net.pb"
    file.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(LpotError, match="net.pb is no frozen TensorFlow graph"):
        node_names(file)
    with pytest.raises(LpotError, match="cannot read .*absent.pb"):
        node_names(tmp_path / "absent.pb")
