"""Checkpoints: the network is taken out of what trains it."""

import hashlib
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from networks import images, plain_session, run, tf1, variable, write_training_checkpoint

from lpot_examples.backends.tensorflow.formats import Format, detect_format, open_model
from lpot_examples.errors import ModelError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one checkpoint of a training graph, and the network's outputs."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, write_training_checkpoint(folder / "model.ckpt-7")


@pytest.fixture
def copied(trained, tmp_path):
    folder = tmp_path / "ckpt"
    shutil.copytree(trained[0], folder)
    return folder


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("data", ["placeholder", "iterator"])
def test_the_network_alone_is_taken_out_of_a_training_graph(tmp_path, resource, data):
    expected = write_training_checkpoint(tmp_path / "m.ckpt", resource=resource, data=data)
    model = open_model(tmp_path)
    (name,) = model.input_names
    assert name == ("images" if data == "placeholder" else "IteratorGetNext")
    assert model.output_names == ("logits",)
    np.testing.assert_array_equal(run(model, {name: images()})[0], expected)
    ops = Counter(node.op for node in model.graph_def.node)
    assert ops["Placeholder"] == 1
    left = {"VarHandleOp", "VariableV2", "ReadVariableOp", "RandomUniform", "Assign", "Mean"}
    assert {op for op in ops if op in left} == {"Mean"}
    assert ops["Mean"] == 1
    assert ops["FusedBatchNormV3"] == 1


def test_a_folder_a_prefix_and_each_file_mean_the_checkpoint(trained):
    folder, expected = trained
    prefix = folder / "model.ckpt-7"
    paths = [folder, prefix, folder / "checkpoint"]
    paths += [prefix.with_name(prefix.name + end) for end in (".meta", ".index")]
    for path in paths:
        assert detect_format(path) is Format.CHECKPOINT
        model = open_model(str(path))
        np.testing.assert_array_equal(run(model, {"images": images()})[0], expected)


def test_the_same_checkpoint_gives_the_same_bytes_in_every_process(trained):
    code = (
        "import sys, hashlib; from lpot_examples.backends.tensorflow.formats import open_model;"
        "g = open_model(sys.argv[1]).graph_def.SerializeToString(deterministic=True);"
        "print(hashlib.sha256(g).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(trained[0])]
    other = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    content = open_model(trained[0]).graph_def.SerializeToString(deterministic=True)
    assert hashlib.sha256(content).hexdigest() == other


def test_the_checkpoint_named_latest_is_taken(copied):
    for path in copied.glob("model.ckpt-7.*"):
        shutil.copy(path, path.with_name(path.name.replace("-7", "-3")))
    other = "/on/another/machine/model.ckpt-7"
    (copied / "checkpoint").write_text(f'model_checkpoint_path: "{other}"\n')
    assert len(open_model(copied).output_names) == 1
    (copied / "checkpoint").unlink()
    with pytest.raises(ModelError, match=r"2 checkpoints \(model.ckpt-3, model.ckpt-7\)"):
        open_model(copied)


def test_names_may_be_chosen(trained):
    folder, _ = trained
    model = open_model(folder, inputs=["images:0"], outputs=["Relu", "logits:0"])
    assert model.output_names == ("Relu", "logits")
    shapes = [array.shape for array in run(model, {"images": images()})]
    assert shapes == [(4, 8, 8, 8), (4, 5)]
    inner = open_model(folder, inputs=["Relu"], outputs=["logits"])
    assert inner.input_spec("Relu")[0] == (None, 8, 8, 8)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"outputs": ["logit"]}, "no node for output 'logit'. Did you mean 'logits'"),
        ({"inputs": ["image"]}, "no node for input 'image'. Did you mean 'images'"),
        ({"inputs": ["images"], "outputs": ["accuracy"]}, "also need 'labels'"),
        ({"inputs": ["images", "labels"], "outputs": ["logits"]}, "do not depend on the input"),
        ({"outputs": ["Momentum"]}, "change variables"),
    ],
)
def test_names_that_do_not_fit(trained, names, message):
    with pytest.raises(ModelError, match=message):
        open_model(trained[0], **names)


def test_several_ends_are_listed(tmp_path):
    def extra(tf, logits):
        tf.nn.softmax(logits, name="probabilities")
        tf.nn.sigmoid(logits, name="independent")

    write_training_checkpoint(tmp_path / "m", extra=extra)
    with pytest.raises(ModelError, match="2 outputs .* Candidates: probabilities, independent"):
        open_model(tmp_path)
    assert open_model(tmp_path, outputs=["probabilities"]).output_names == ("probabilities",)


def _remove(suffix):
    def damage(folder):
        (folder / f"model.ckpt-7{suffix}").unlink()

    return damage


def _cut(suffix, size):
    def damage(folder):
        path = folder / f"model.ckpt-7{suffix}"
        path.write_bytes(path.read_bytes()[:size])

    return damage


def _other_weights(folder):
    with tf1() as tf:
        variable(tf, "conv/weights", [1, 1, 3, 8])
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(
                session, str(folder / "model.ckpt-7"), write_meta_graph=False
            )


DATA = ".data-00000-of-00001"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove(".meta"), "model.ckpt-7.meta is missing"),
        (_remove(".index"), "model.ckpt-7.index is missing"),
        (_remove(DATA), r"model.ckpt-7.data-00000-of-00001 is missing \(0 of 1"),
        (_cut(".index", 100), "is damaged: model.ckpt-7.index cannot be read"),
        (_cut(".index", 0), "is damaged: model.ckpt-7.index cannot be read"),
        (_cut(DATA, 50), "is damaged: the value of '.*' cannot be read"),
        (_cut(".meta", 2000), "is not a whole graph"),
        (_cut(".meta", 0), "empty graph"),
        (_other_weights, "do not belong together"),
    ],
)
def test_damage_is_told_in_one_sentence(copied, damage, message):
    damage(copied)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(copied)
    assert "\n" not in str(caught.value)


def test_a_missing_shard_is_named(copied):
    data = copied / f"model.ckpt-7{DATA}"
    data.rename(copied / "model.ckpt-7.data-00002-of-00003")
    with pytest.raises(ModelError, match=r"data-00000-of-00003 is missing \(1 of 3"):
        open_model(copied)


def test_a_checkpoint_of_tf2_has_no_graph(tmp_path):
    from lpot_examples.backends.tensorflow.runtime import import_tensorflow

    tf = import_tensorflow()
    tf.train.Checkpoint(v=tf.Variable([1.0])).save(str(tmp_path / "ckpt"))
    with pytest.raises(ModelError, match="TF2 keeps the graph in Python"):
        open_model(tmp_path)


def test_partitioned_variables_are_cut_from_the_whole(tmp_path):
    with tf1() as tf:
        x = tf.compat.v1.placeholder(tf.float32, [None, 6], "x")
        split = tf.compat.v1.fixed_size_partitioner(3)
        weights = variable(tf, "weights", [6, 4], partitioner=split)
        tf.matmul(x, tf.convert_to_tensor(weights), name="y")
        feed = np.eye(6, dtype=np.float32)
        with plain_session(tf) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            expected = session.run("y:0", {x: feed})
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "m"))
    model = open_model(tmp_path)
    np.testing.assert_array_equal(run(model, {"x": feed})[0], expected)


def _saved(tmp_path, build, feed):
    """Save what ``build(tf, x)`` makes of a placeholder; return its output."""
    with tf1() as tf:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], "images")
        y = tf.identity(build(tf, x), name="y")
        with plain_session(tf) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            expected = session.run(y, {x: images(), **{f"{k}:0": v for k, v in feed.items()}})
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "m"))
    return expected


@pytest.mark.parametrize("default", [False, True])
def test_whether_it_is_trained_is_settled(tmp_path, default):
    """The branch for training goes, whether the flag is a placeholder or has a default."""

    def build(tf, x):
        v1 = tf.compat.v1
        if default:
            flag = v1.placeholder_with_default(False, [], "keras_learning_phase")
        else:
            flag = v1.placeholder(tf.bool, [], "is_training")
        w = variable(tf, "w", [3, 3, 3, 4])
        mean = variable(tf, "mean", [4])
        y = tf.nn.conv2d(x, w, 1, "SAME")
        batch = tf.reduce_mean(y, [0, 1, 2])
        return y - v1.cond(flag, lambda: tf.identity(batch), lambda: tf.identity(mean))

    expected = _saved(tmp_path, build, {} if default else {"is_training": False})
    model = open_model(tmp_path)
    assert model.input_names == ("images",)
    assert not {"Switch", "Merge", "Mean"} & {node.op for node in model.graph_def.node}
    np.testing.assert_array_equal(run(model, {"images": images()})[0], expected)


def test_variables_in_loops_and_gathers_are_frozen(tmp_path):
    def build(tf, x):
        scale = variable(tf, "scale", [3], resource=True)
        table = variable(tf, "table", [5, 3], resource=True)
        old = variable(tf, "old", [3])
        looped = tf.compat.v1.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, y * scale + old), [0, x]
        )[1]
        return looped + tf.gather(table, [1, 1, 4])[0]

    expected = _saved(tmp_path, build, {})
    model = open_model(tmp_path, outputs=["y"])
    assert not any("Var" in node.op or "Ref" in node.op for node in model.graph_def.node)
    np.testing.assert_array_equal(run(model, {"images": images()})[0], expected)


def test_handles_that_functions_take_are_frozen(tmp_path):
    def build(tf, x):
        w = variable(tf, "w", [3, 3, 3, 4], resource=True)

        @tf.function
        def convolve(x):
            return tf.nn.conv2d(x, w, 1, "SAME")

        return convolve(x)

    expected = _saved(tmp_path, build, {})
    model = open_model(tmp_path)
    np.testing.assert_array_equal(run(model, {"images": images()})[0], expected)
