"""SavedModels of both kinds give the network that their signature describes."""

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from networks import CLASSES, SIZE, images, network, plain_session, run, tf1, train_ops, variable

from lpot_examples.backends.tensorflow.formats import Format, detect_format, open_model
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

SHAPE = [None, SIZE, SIZE, 3]


def write_tf1(folder, build, *, tags=("serve",), signatures=("serving_default",), **options):
    """Write what ``build(tf)`` makes; it returns (inputs, outputs, feed). Return the outputs."""
    with tf1() as tf:
        inputs, outputs, feed = build(tf)
        saved = tf.compat.v1.saved_model
        definition = saved.predict_signature_def(inputs, outputs)
        with plain_session(tf) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            session.run(tf.compat.v1.tables_initializer())
            found = {name: session.run(tensor, feed) for name, tensor in outputs.items()}
            builder = saved.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session,
                list(tags),
                signature_def_map={name: definition for name in signatures},
                **options,
            )
            builder.save()
    return found


def classifier(tf):
    x = tf.compat.v1.placeholder(tf.float32, SHAPE, "images")
    logits = network(tf, x, training=False, resource=True)
    probabilities = tf.nn.softmax(logits, name="probabilities")
    return {"inputs": x}, {"output_10": logits, "output_9": probabilities}, {x: images()}


@pytest.fixture(scope="module")
def saved_tf1(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "saved"
    return folder, write_tf1(folder, classifier)


def test_a_tf1_saved_model_keeps_the_names_of_its_tensors(saved_tf1):
    folder, expected = saved_tf1
    for path in (folder, folder / "saved_model.pb"):
        assert detect_format(path) is Format.SAVED_MODEL
        model = open_model(path)
        assert model.input_names == ("images",)
        assert model.output_names == ("probabilities", "logits")
    found = run(model, {"images": images()})
    np.testing.assert_array_equal(found[0], expected["output_9"])
    np.testing.assert_array_equal(found[1], expected["output_10"])


def test_names_are_those_of_the_signature_or_of_tensors(saved_tf1):
    folder, _ = saved_tf1
    for names in (("output_10", "Relu"), ("logits:0", "Relu:0")):
        model = open_model(folder, inputs=["inputs"], outputs=names)
        assert model.input_names == ("images",)
        assert model.output_names == ("logits", "Relu")
    with pytest.raises(ModelError, match="no node for output 'output_8'. Did you mean"):
        open_model(folder, outputs=["output_8"])


def test_a_network_saved_in_training_form_is_inferred(tmp_path):
    def build(tf):
        x = tf.compat.v1.placeholder(tf.float32, SHAPE, "images")
        labels = tf.compat.v1.placeholder(tf.int64, [None], "labels")
        logits = network(tf, x, training=True, keep=0.5)
        train_ops(tf, logits, labels)
        return {"images": x}, {"logits": logits}, {x: images()}

    write_tf1(tmp_path / "saved", build)
    model = open_model(tmp_path / "saved")
    (together,) = run(model, {"images": images()})
    alone = [run(model, {"images": image[None]})[0][0] for image in images()]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_the_graph_for_serving_is_taken(tmp_path):
    write_tf1(tmp_path / "gpu", classifier, tags=("serve", "gpu"))
    assert open_model(tmp_path / "gpu").input_names == ("images",)
    write_tf1(tmp_path / "b", classifier, signatures=("first", "second"))
    with pytest.raises(ModelError, match=r"2 signatures \(first, second\)"):
        open_model(tmp_path / "b")
    write_tf1(tmp_path / "c", classifier, signatures=("classify",))
    assert len(open_model(tmp_path / "c").output_names) == 2


def test_a_frozen_graph_in_a_saved_model(tmp_path):
    """As in the published detectors: no variable, so no weights beside the graph."""

    def build(tf):
        x = tf.compat.v1.placeholder(tf.float32, SHAPE, "images")
        y = tf.nn.conv2d(x, tf.ones([3, 3, 3, 2]), 1, "SAME", name="y")
        return {"inputs": x}, {"outputs": y}, {x: images()}

    expected = write_tf1(tmp_path / "saved", build)
    shutil.rmtree(tmp_path / "saved" / "variables", ignore_errors=True)
    model = open_model(tmp_path / "saved")
    np.testing.assert_array_equal(run(model, {"images": images()})[0], expected["outputs"])


def test_without_a_signature_names_are_needed(tmp_path):
    write_tf1(tmp_path / "saved", classifier, signatures=())
    with pytest.raises(ModelError, match=r"no signature.*model.inputs and model.outputs"):
        open_model(tmp_path / "saved")
    model = open_model(tmp_path / "saved", inputs=["images"], outputs=["logits"])
    assert model.output_names == ("logits",)


def test_a_table_is_refused_only_where_it_is_needed(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join("abcde"))

    def build(tf):
        inputs, outputs, feed = classifier(tf)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(words),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            "?",
        )
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, str(words))
        label = table.lookup(tf.argmax(outputs["output_10"], 1))
        return inputs, {"label": label, "logits": outputs["output_10"]}, feed

    write_tf1(tmp_path / "saved", build)
    with pytest.raises(ModelError, match="looks values up in a table"):
        open_model(tmp_path / "saved")
    assert open_model(tmp_path / "saved", outputs=["logits"]).output_names == ("logits",)


@pytest.fixture(scope="module")
def saved_tf2(tmp_path_factory):
    """A tf.Module with a TF2 loop, two inputs and three outputs."""
    tf = import_tensorflow()
    folder = tmp_path_factory.mktemp("two") / "saved"

    class Network(tf.Module):
        def __init__(self):
            rng = np.random.default_rng(1)
            self.kernel = tf.Variable(rng.normal(0, 0.3, (3, 3, 3, 4)).astype(np.float32))
            self.dense = tf.Variable(rng.normal(0, 0.5, (4, 4)).astype(np.float32))

        @tf.function(
            input_signature=[
                tf.TensorSpec(SHAPE, name="images"),
                tf.TensorSpec([None, 4], name="bias"),
            ]
        )
        def __call__(self, images, bias):
            y = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 1, "SAME", name="conv"))
            y = tf.reduce_mean(y, [1, 2]) + bias
            for _ in tf.range(3):
                y = tf.nn.tanh(tf.matmul(y, self.dense))
            return {"output_10": y, "output_9": y + 1.0, "images": y * 2.0}

    module = Network()
    tf.saved_model.save(module, str(folder))
    return folder, module


def test_a_tf2_saved_model_has_the_names_of_its_signature(saved_tf2):
    folder, module = saved_tf2
    assert detect_format(folder) is Format.SAVED_MODEL
    model = open_model(folder)
    assert model.input_names == ("bias", "images")
    assert model.output_names == ("images_1", "output_9", "output_10")
    bias = np.ones((4, 4), np.float32)
    expected = module(images(), bias)
    for name, found in zip(
        ("images", "output_9", "output_10"),
        run(model, {"images": images(), "bias": bias}),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected[name])
    ops = {node.name: node.op for node in model.graph_def.node}
    assert ops["conv"] == "Conv2D"
    assert "While" in ops.values() or "StatelessWhile" in ops.values()
    assert not any("VarHandle" in op or "Partitioned" in op for op in ops.values())
    names = {function.signature.name for function in model.graph_def.library.function}
    assert names == {"while_body", "while_cond"}


def test_outputs_of_a_tf2_saved_model_may_be_chosen(saved_tf2):
    folder, _ = saved_tf2
    model = open_model(folder, inputs=["images", "bias"], outputs=["output_10"])
    assert model.input_names == ("images", "bias")
    assert model.output_names == ("output_10",)
    with pytest.raises(ModelError, match="no node for an? ?output 'output_1'|Did you mean"):
        open_model(folder, outputs=["output_1"])


def test_a_saved_model_gives_the_same_bytes_in_every_process(saved_tf2):
    code = (
        "import sys, hashlib; from lpot_examples.backends.tensorflow.formats import open_model;"
        "g = open_model(sys.argv[1]).graph_def.SerializeToString(deterministic=True);"
        "print(hashlib.sha256(g).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(saved_tf2[0])]
    other = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    contents = [
        open_model(saved_tf2[0]).graph_def.SerializeToString(deterministic=True) for _ in range(2)
    ]
    assert {hashlib.sha256(content).hexdigest() for content in contents} == {other}


def test_a_keras_network_as_saved_model(tmp_path):
    import keras

    import_tensorflow()
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), name="photo"),
            keras.layers.Conv2D(4, 3, name="first"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, name="scores"),
        ]
    )
    model.export(str(tmp_path / "saved"), verbose=False)
    frozen = open_model(tmp_path / "saved")
    assert frozen.input_names == ("photo",)
    assert frozen.output_names == ("output_0",)
    found = run(frozen, {"photo": images()})[0]
    np.testing.assert_allclose(found, model(images()), rtol=1e-6, atol=1e-6)


def test_a_module_without_a_signature_is_refused(tmp_path):
    tf = import_tensorflow()
    module = tf.Module()
    module.v = tf.Variable([1.0])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    with pytest.raises(ModelError, match="has no signature") as caught:
        open_model(tmp_path / "saved")
    assert "\n" not in str(caught.value)


def test_a_table_in_a_function_is_refused(tmp_path):
    tf = import_tensorflow()

    class Lookup(tf.Module):
        def __init__(self):
            keys = tf.constant([0, 1], tf.int64)
            initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.constant([2.0, 3.0]))
            self.table = tf.lookup.StaticHashTable(initializer, -1.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="x")])
        def __call__(self, x):
            return self.table.lookup(x)

    tf.saved_model.save(Lookup(), str(tmp_path / "saved"))
    with pytest.raises(ModelError, match="looks values up in a table"):
        open_model(tmp_path / "saved")


def _without(name):
    return lambda folder: (folder / "variables" / name).unlink()


def _cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


@pytest.mark.parametrize("kind", ["saved_tf1", "saved_tf2"])
@pytest.mark.parametrize(
    "damage",
    [
        _without("variables.index"),
        _without("variables.data-00000-of-00001"),
        lambda folder: shutil.rmtree(folder / "variables"),
        _cut("variables/variables.index", 40),
        _cut("variables/variables.data-00000-of-00001", 40),
        _cut("saved_model.pb", 500),
        _cut("saved_model.pb", 0),
    ],
)
def test_damage_is_told_in_one_sentence(request, tmp_path, kind, damage):
    folder = tmp_path / "saved"
    shutil.copytree(request.getfixturevalue(kind)[0], folder)
    damage(folder)
    with pytest.raises(ModelError) as caught:
        open_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_partly_fed_signature(tmp_path):
    """Outputs that need one input only do not ask for the other."""

    def build(tf):
        x = tf.compat.v1.placeholder(tf.float32, SHAPE, "a")
        z = tf.compat.v1.placeholder(tf.float32, SHAPE, "b")
        w = variable(tf, "w", [3, 3, 3, 2])
        one = tf.nn.conv2d(x, w, 1, "SAME", name="one")
        return (
            {"a": x, "b": z},
            {"one": one, "both": one + tf.nn.conv2d(z, w, 1, "SAME")},
            {
                x: images(),
                z: images(),
            },
        )

    write_tf1(tmp_path / "saved", build)
    assert open_model(tmp_path / "saved").input_names == ("a", "b")
    assert open_model(tmp_path / "saved", outputs=["one"]).input_names == ("a",)
