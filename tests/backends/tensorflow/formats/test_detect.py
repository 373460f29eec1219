"""What a path means, and what is said where it means no network, or several."""

import pytest

from lpot_examples.backends.tensorflow.formats import Format, detect_format, open_model
from lpot_examples.errors import ModelError


def fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x0a\x02x")
    return folder


@pytest.mark.parametrize(
    ("files", "path", "kind"),
    [
        (["m.pb"], "m.pb", Format.FROZEN),
        (["m.pb", "notes.txt"], ".", Format.FROZEN),
        (["m"], "m", Format.FROZEN),
        (["saved_model.pb", "keras_metadata.pb", "fingerprint.pb"], ".", Format.SAVED_MODEL),
        (["saved_model.pbtxt"], ".", Format.SAVED_MODEL),
        (["a.ckpt.meta", "a.ckpt.index"], ".", Format.CHECKPOINT),
        (["a.ckpt.meta", "a.ckpt.index"], "a.ckpt", Format.CHECKPOINT),
        (["a.meta", "a.data-00000-of-00002"], "a.data-00000-of-00002", Format.CHECKPOINT),
        (["a.ckpt", "a.ckpt.meta"], "a.ckpt", Format.CHECKPOINT),
        (["checkpoint"], "checkpoint", Format.CHECKPOINT),
        (["m.onnx"], "m.onnx", Format.ONNX),
        (["m.keras"], "m.keras", Format.KERAS),
        (["m.HDF5"], "m.HDF5", Format.HDF5),
        # What the Object Detection API exports: as in LPOT, the folder means the checkpoint.
        (
            ["frozen_inference_graph.pb", "model.ckpt.meta", "checkpoint", "saved_model/x"],
            ".",
            Format.CHECKPOINT,
        ),
    ],
)
def test_what_a_path_means(tmp_path, files, path, kind):
    assert detect_format(fill(tmp_path, files) / path) is kind


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ([], "model.pb", "No such file or directory. Give a frozen .pb, a SavedModel folder"),
        (["model.pb"], "modle.pb", "No such file or directory. Did you mean 'model.pb'"),
        ([], ".", "holds no network: it is empty"),
        (["a.txt"], ".", r"holds no network \(1 other files\)"),
        (["a.pb", "b.pb"], ".", "holds 2 networks, and one is required: a.pb, b.pb"),
        (["a.keras", "a.ckpt.meta"], ".", "holds 2 networks"),
        (["export/saved_model.pb"], ".", "holds no network; its folder export does"),
        (["variables.index.x", "variables.index"], "../x/variables.pb", "cannot read the model"),
        (["m.tflite"], "m.tflite", "TensorFlow Lite"),
        (["m.pth"], "m.pth", "PyTorch"),
        (["m.tar.gz"], "m.tar.gz", "unpack it"),
        (["graph.pbtxt"], "graph.pbtxt", "a graph as text"),
        (["m.ckpt"], "m.ckpt", "holds weights without a graph: m.ckpt.meta"),
        (["m.onnx"], "m.onnx", "an ONNX file, no network of TensorFlow"),
        (["a.index"], ".", "a.meta is missing"),
        (["a.data-00000-of-00001"], ".", "a.meta is missing"),
        (["checkpoint"], ".", "cannot be understood"),
        (["m.pb"], "m.pb", "not a whole frozen TensorFlow graph"),
    ],
)
def test_what_is_said_otherwise(tmp_path, files, path, message):
    fill(tmp_path, files)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(tmp_path / path)
    assert "\n" not in str(caught.value)


def test_the_latest_checkpoint_may_be_elsewhere(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')
    with pytest.raises(ModelError, match=r"names model.ckpt-5, of which no file is in"):
        open_model(tmp_path)


def test_a_saved_model_under_another_name(tmp_path):
    (tmp_path / "m.pb").write_bytes(b"\x08\x01\x12\x00")
    with pytest.raises(ModelError, match="is the saved_model.pb of a SavedModel"):
        open_model(tmp_path / "m.pb")
