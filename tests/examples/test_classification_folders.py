"""The folders of ImageNet classifiers, with small networks that have their inputs and outputs."""

import json

import numpy as np
import pytest
from PIL import Image

from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.errors import DataError, EvaluationError
from lpot_examples.spec import load_spec
from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.classification import ImageClassifier
from lpot_examples.zoo.folder_module import run_build
from lpot_examples.zoo.topologies import find_topology

NAMES = [name for name, model in CATALOGUE.items() if model.domain == "classification"]
FILES = {"README.md", "eval_func.py", "expected.json", "q_dataloader.py"}

COLOURS = {"red": (250, 20, 20), "green": (20, 250, 20), "blue": (20, 20, 250)}
CLASSES = {"red": 0, "green": 7, "blue": 999}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Five plain photographs, of which the last has another class than its colour's."""
    root = tmp_path_factory.mktemp("imagenet")
    lines = []
    for index, colour in enumerate(["red", "green", "blue", "blue", "red"]):
        Image.new("RGB", (300 + index, 280), COLOURS[colour]).save(root / f"{index}.png")
        label = 500 if index == 4 else CLASSES[colour]
        lines.append(f"{index}.png {label} {colour}")
    (root / "labels.txt").write_text("\n".join(lines))
    return root


def colour_network(model, *, classes=1000, background=False):
    """A graph that gives each colour's class the mean of its channel, all others little."""
    import tensorflow as tf

    channels = "BGR" if model.preprocessing == "caffe" else "RGB"
    scores = classes + background
    weights, bias = np.zeros((3, scores), np.float32), np.full(scores, -1e4, np.float32)
    for colour, index in CLASSES.items():
        column = index + background
        weights[channels.index(colour[0].upper()), column], bias[column] = 1, 0
    with tf.Graph().as_default() as graph:
        size = model.image_size
        image = tf.compat.v1.placeholder(tf.float32, [None, size, size, 3], model.inputs[0])
        score = tf.matmul(tf.reduce_mean(image, axis=(1, 2)), weights) + bias
        tf.identity(score, model.outputs[0])
    return TensorFlowModel(graph.as_graph_def(), inputs=model.inputs, outputs=model.outputs)


@pytest.mark.parametrize("name", [*NAMES, "squeezenet"])
def test_every_folder_has_the_same_five_files(name):
    folder = find_topology(name).folder
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == FILES | {f"{name}.yaml"}
    assert load_spec(folder / f"{name}.yaml").model.name == name
    for file in ("q_dataloader.py", "eval_func.py"):
        assert len((folder / file).read_text().splitlines()) <= 22


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_published_or_measured(name):
    expected = json.loads((find_topology(name).folder / "expected.json").read_text())
    assert expected["metric"] == "top-1"
    measured = [expected[key] for key in ("fp32", "int8", "tolerance", "measured_on")]
    assert all(value is None for value in measured) or None not in measured
    published = expected["published"]
    assert 0.65 < published["top-1"] < published["top-5"] < 1
    assert published["source"].startswith("https://")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_scores_a_network_of_its_interface(name, photographs, tmp_path):
    model, topology = CATALOGUE[name], find_topology(name)
    path = colour_network(model, background=model.background).save(tmp_path / "m.pb")
    network = load_model(path)  # inputs and outputs are found, as in a run
    assert network.input_names == model.inputs and network.output_names == model.outputs
    evaluation = topology.eval_func(photographs, batch_size=2)
    result = evaluation(network)
    assert result.metric == "top-1"
    assert result.per_sample.tolist() == [1, 1, 1, 1, 0]
    assert result.score == 0.8
    batches = list(topology.q_dataloader(photographs))
    assert [images.shape for images, _ in batches] == [(1, model.image_size, model.image_size, 3)]
    assert batches[0][0].dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_other_classes_is_an_error(name, photographs, tmp_path):
    model = CATALOGUE[name]
    other = colour_network(model, background=not model.background)
    evaluation = find_topology(name).eval_func(photographs, batch_size=2)
    wanted, given = (1001, 1000) if model.background else (1000, 1001)
    message = rf"{wanted} class scores .*it gave \[2, {given}\].*score for background"
    with pytest.raises(EvaluationError, match=message):
        evaluation(other)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_dataset_one_message_says_what_to_do(name):
    topology = find_topology(name)
    for build in (topology.q_dataloader, topology.eval_func):
        with pytest.raises(DataError, match=f"labels.txt.*run_tuning.sh --topology={name} "):
            build()


def test_a_folder_for_each_class_and_limits(tmp_path):
    network = ImageClassifier(name="t", preprocessing="tf", size=32, classes=2)
    for index, colour in enumerate(("red", "blue")):
        (tmp_path / colour).mkdir()
        Image.new("RGB", (40, 40), COLOURS[colour]).save(tmp_path / colour / f"{index}.png")
    evaluation = network.evaluation(tmp_path)

    def channels(images):
        return images.mean(axis=(1, 2))[:, [2, 0]]

    assert evaluation(channels).score == 1.0  # in alphabetical order: blue, red
    assert network.evaluation(tmp_path, limit=1).samples == 1
    with pytest.raises(DataError, match="each of the network's 3 classes; it holds 2"):
        ImageClassifier(name="t", preprocessing="tf", classes=3).evaluation(tmp_path)


def test_a_real_architecture(photographs):
    """EfficientNet scales its input itself: bytes go in."""
    keras = pytest.importorskip("keras")
    from lpot_examples.backends.tensorflow.keras_export import freeze_keras

    network = freeze_keras(
        keras.applications.EfficientNetB0(weights=None),
        input_name="input",
        output_names=("predictions",),
    )
    topology = find_topology("efficientnet_b0")
    result = topology.eval_func(photographs, limit=2)(network)
    assert result.samples == 2
    (images, _), *_ = topology.q_dataloader(photographs)
    assert images.max() == 250.0 and images.min() == 20.0


def test_a_copy_is_three_lines_away(tmp_path, photographs):
    """As docs/own_model.md says: the name in the yaml, and NETWORK."""
    source = find_topology("squeezenet").folder
    folder = tmp_path / "classification" / "mine"
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file():
            name = path.name.replace("squeezenet", "mine")
            (folder / name).write_text(path.read_text())
    code = (folder / "q_dataloader.py").read_text()
    old = code[code.index("NETWORK = ") : code.index("\n\n\ndef build")]
    new = 'NETWORK = ImageClassifier(\n    name="mine", preprocessing="torch", size=96\n)'
    (folder / "q_dataloader.py").write_text(code.replace(old, new))
    (images, _), *_ = run_build(folder / "q_dataloader.py", dataset_location=photographs)
    assert images.shape == (1, 96, 96, 3)
    topology = find_topology("mine", [tmp_path])
    evaluation = topology.eval_func(photographs)
    assert evaluation(lambda batch: np.zeros((len(batch), 1000))).score == 0.2
