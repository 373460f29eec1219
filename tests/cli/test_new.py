"""``new`` as users run it, from an unknown network to a tuned one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpot_examples import cli
from lpot_examples.data.digits import load_digits
from lpot_examples.zoo.topologies import find_topology

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "classification" / "digits" / "digits.pb"
SHAPES = ROOT / "object_detection" / "ssd_shapes" / "ssd_shapes.pb"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lpot_examples", *map(str, arguments)])
    return cli._run()


def tune(name, model, data, output="o.pb"):
    """Tune as run_tuning.sh does; return what was said and the report."""
    command = [sys.executable, "-P", "-m", "lpot_examples", "tune", f"--topology={name}"]
    command += [f"--input_model={model}", f"--dataset_location={data}", f"--output_model={output}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*command, "--benchmark_seconds=0"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads(Path("o.report.json").read_text())


def save_graph(path, build):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        build(tf)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def photographs(folder, count, size=(64, 48)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for index in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def test_a_classifier_from_nothing_to_a_tuned_one(here, monkeypatch, capsys):
    for split, name in (("train", "train"), ("validation", "val")):
        digits = load_digits(split)
        for index in range(200):
            folder = here / "images" / name / str(digits.labels[index])
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (digits.images[index, ..., 0] * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:03}.png")
    (here / "m.pb").write_bytes(DIGITS.read_bytes())
    arguments = ("new", "classification/mine", "--model", "m.pb", "--dataset=folder")
    assert run(monkeypatch, *arguments) == (0, "")
    said = capsys.readouterr().out
    assert "classification/mine/ is written: README.md, eval_func.py, expected.json" in said
    assert "Pixels are grey from 0 to 1." in said
    folder = here / "classification" / "mine"
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "eval_func.py",
        "expected.json",
        "mine.yaml",
        "q_dataloader.py",
    }
    assert "inputs: input  # float32 [?, 8, 8, 1]" in (folder / "mine.yaml").read_text()
    assert "--topology=mine --input_model=m.pb" in (folder / "README.md").read_text()
    output, report = tune("mine", "m.pb", "images/")
    assert "the accuracy bar is met" in output
    assert report["accuracy"]["fp32"] >= 0.98  # the guesses are right
    code, words = run(monkeypatch, *arguments)
    assert code == 1 and "classification/mine exists already and is left as it is" in words


def test_a_detector_that_no_one_can_decode(here, monkeypatch, capsys):
    (here / "m.pb").write_bytes(SHAPES.read_bytes())
    photographs(here / "data" / "val2017", 20)
    photographs(here / "data" / "train2017", 20)
    assert run(monkeypatch, "new", "object_detection/mine", "--model=m.pb") == (0, "")
    assert "no labels are used" in capsys.readouterr().out
    output, report = tune("mine", "m.pb", "data/")
    assert "agreement" in output
    assert report["accuracy"]["fp32"] == pytest.approx(1.0)
    assert 0.9 < report["accuracy"]["int8"] < 1.0


def test_a_network_in_onnx(here, monkeypatch, capsys):
    from lpot_examples.testing.onnx_networks import image_network

    (here / "m.onnx").write_bytes(image_network().SerializeToString())
    assert run(monkeypatch, "new", "object_detection/mine", "--model=m.onnx") == (0, "")
    assert "Pixels are RGB from 0 to 1." in capsys.readouterr().out
    folder = here / "object_detection" / "mine"
    text = (folder / "mine.yaml").read_text()
    assert "framework: onnxrt_qdq" in text
    assert "inputs: image  # float32 [?, 3, 16, 16]" in text
    assert "--output_model=mine-int8.onnx" in (folder / "README.md").read_text()
    photographs(here / "data" / "val2017", 8)
    photographs(here / "data" / "train2017", 8)
    _, report = tune("mine", "m.onnx", "data/", "o.onnx")
    assert report["accuracy"]["fp32"] == pytest.approx(1.0)
    assert 0.9 < report["accuracy"]["int8"] < 1.0


def test_a_damaged_onnx_file_is_one_message(here, monkeypatch):
    (here / "m.onnx").write_bytes(b"\x08\x08")
    code, words = run(monkeypatch, "new", "object_detection/mine", "--model=m.onnx")
    assert code == 1 and words.startswith("error: ") and "m.onnx" in words
    assert [path.name for path in here.iterdir()] == ["m.onnx"]


def test_a_copy_of_a_topology(here, monkeypatch):
    options = ("--model", SHAPES, "--from=ssd_shapes")
    assert run(monkeypatch, "new", "object_detection/mine", *options) == (0, "")
    topology = find_topology("mine")
    assert not (topology.folder / "train.py").exists()
    from lpot_examples import load_model

    evaluation = topology.eval_func(limit=16)
    model = load_model(SHAPES, outputs=("class_logits", "box_offsets"))
    assert evaluation(model).score > 0.3
    (images, _), *_ = topology.q_dataloader()
    assert images.shape == (1, 96, 96, 3)


def zoo_detector(tf):
    images = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], "image_tensor")
    mean = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2))
    boxes = tf.reshape(tf.concat([mean * 0, mean[:, :1] * 0 + 1], 1), [-1, 1, 4])
    tf.identity(boxes, "detection_boxes")
    tf.identity(mean[:, :1] * 0 + 0.9, "detection_scores")
    tf.identity(mean[:, :1] * 0 + 1, "detection_classes")
    tf.identity(mean[:, 0] * 0 + 1, "num_detections")


def test_a_detector_of_the_zoo_is_scored_by_its_boxes(here, monkeypatch):
    save_graph(here / "m.pb", zoo_detector)
    assert run(monkeypatch, "new", "object_detection/mine", "--model=m.pb") == (0, "")
    photographs(here / "coco" / "val2017", 2)
    content = {
        "images": [
            {"id": 1 + i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(2)
        ],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": 9, "image_id": 1, "category_id": 1, "bbox": [0, 0, 64, 48], "iscrowd": 0}
            | {"area": 64 * 48}
        ],
    }
    (here / "coco" / "annotations").mkdir()
    file = here / "coco" / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(content))
    topology = find_topology("mine")
    from lpot_examples import load_model
    from lpot_examples.spec import load_spec

    spec = load_spec(topology.spec_path)
    assert spec.model.outputs[0] == "num_detections"
    model = load_model(here / "m.pb", inputs=spec.model.inputs, outputs=spec.model.outputs)
    result = topology.eval_func(here / "coco")(model)
    assert result.metric == "mAP" and result.samples == 2
    (images, _), *_ = topology.q_dataloader(here / "coco")
    assert images.shape == (1, 48, 64, 3) and images.dtype == np.uint8


def two_inputs(tf):
    left = tf.compat.v1.placeholder(tf.float32, [None, 6], "left")
    right = tf.compat.v1.placeholder(tf.int32, [None], "scope/right")
    tf.identity(left * tf.cast(right, tf.float32)[:, None], "product")


def test_several_inputs_come_from_a_file(here, monkeypatch):
    save_graph(here / "m.pb", two_inputs)
    assert run(monkeypatch, "new", "classification/mine", "--model=m.pb") == (0, "")
    arrays = {"left": np.ones((5, 6), np.float32), "scope/right": np.arange(5, dtype=np.int32)}
    np.savez(here / "inputs.npz", **arrays)
    topology = find_topology("mine")
    from lpot_examples import load_model

    result = topology.eval_func(here / "inputs.npz", batch_size=2)(load_model(here / "m.pb"))
    assert (result.score, result.samples) == (pytest.approx(1.0), 5)
    (inputs, _), *_ = topology.q_dataloader(here / "inputs.npz")
    assert set(inputs) == set(arrays)


def unknown_shape(tf):
    image = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], "image")
    flat = tf.reshape(image, tf.stack([tf.shape(image)[0], -1]))
    width = tf.shape(flat)[1]
    tf.identity(tf.reshape(flat[:, :12], tf.stack([-1, width - 756])), "scores")


def test_an_output_whose_shape_only_a_run_tells(here, monkeypatch):
    save_graph(here / "m.pb", unknown_shape)
    assert run(monkeypatch, "new", "classification/mine", "--model=m.pb") == (0, "")
    code = (here / "classification" / "mine" / "q_dataloader.py").read_text()
    assert "classes=12," in code


def test_written_code_is_formatted_and_correct(here, monkeypatch):
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    from lpot_examples.testing.onnx_networks import image_network

    (here / "image.onnx").write_bytes(image_network().SerializeToString())
    for index, (domain, model) in enumerate(
        [
            ("classification", here / "image.onnx"),
            ("classification", DIGITS),
            ("object_detection", SHAPES),
            ("object_detection", save_graph(here / "zoo.pb", zoo_detector)),
            ("classification", save_graph(here / "two.pb", two_inputs)),
        ]
    ):
        assert run(monkeypatch, "new", f"{domain}/m{index}", "--model", model) == (0, "")
    own = ["--config", str(ROOT / "pyproject.toml"), "--ignore=I001"]
    for command in (["check", *own], ["format", "--check", *own[:2]]):
        ended = subprocess.run(
            [ruff, *command, here], capture_output=True, text=True, check=False, cwd=here
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classification/x"], "Missing option '--model'"),
        (["--model=m.pb"], "Missing argument 'PLACE'"),
        (["x", "--model=m.pb"], "must be object_detection/NAME or classification/NAME"),
        (["classification/digits", "--model=m.pb"], "exists already"),
        (["classification/x", "--model=absent.pb"], "absent.pb"),
        (["classification/x", f"--model={DIGITS}", "--dataset=cocoa"], "Did you mean 'coco'?"),
        (["classification/x", f"--model={DIGITS}", "--from=digts"], "Did you mean 'digits'?"),
        (["classification/x", f"--model={DIGITS}", "--from=digits", "--dataset=voc"], "one of the"),
        (["classification/x", f"--model={DIGITS}", "--outputs=lgits"], "Did you mean 'logits'?"),
    ],
)
def test_a_wrong_command_line_is_one_message(here, monkeypatch, arguments, message):
    code, words = run(monkeypatch, "new", *arguments)
    assert code == 1
    assert words.startswith("error: ") and message in words
    assert list(here.iterdir()) == []
