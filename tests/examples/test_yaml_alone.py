"""Public networks and photographs by a yaml alone: the scores of Python folders, and of records.

Set LPOT_REAL_DATA as for `test_real_topologies`, which scores the folders on all photographs; here
the first ones do.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lpot_examples import cli
from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.data.coco import coco_images
from lpot_examples.evaluation.detection import DetectionEvaluation, Detections
from lpot_examples.task import open_task
from lpot_examples.zoo.topologies import find_topology

DATA = os.environ.get("LPOT_REAL_DATA")

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA, reason="LPOT_REAL_DATA is not set: real networks are NOT tested"),
]

PHOTOGRAPHS = 120
SCENES = 48

CLASSIFIER = """\
model: {{name: {name}, framework: tensorflow}}
quantization:
  calibration:
    sampling_size: 76
    dataloader: &photographs
      batch_size: 8
      dataset:
        ImagenetRaw: {{}}
      transform:
        ResizeCropImagenet: {{height: 224, width: 224, {input}}}
evaluation:
  accuracy:
    metric: {{topk: 1}}
    dataloader: *photographs
    postprocess:
      transform:
        LabelShift: {shift}
"""

INPUTS = {
    "mobilenet_v2": ("mean_value: [127.5, 127.5, 127.5], scale: 0.0078431373", -1),
    "squeezenet": ("subpixels: BGR, mean_value: [104, 117, 123]", 0),
}


@pytest.mark.parametrize("name", INPUTS)
def test_top1_is_that_of_the_folder(name, tmp_path):
    text, shift = INPUTS[name]
    file = tmp_path / "my.yaml"
    file.write_text(CLASSIFIER.format(name=name, input=text, shift=shift))
    location = Path(DATA) / "imagenet"
    task = open_task(config=file, dataset_location=location, limit=PHOTOGRAPHS)
    model = load_model(Path(DATA) / "models" / f"{name}.pb")
    result = task.eval_func()(model)
    # The photographs have the right size already, so it does not matter who would resize them.
    expected = find_topology(name).eval_func(location, limit=PHOTOGRAPHS)(model)
    assert list(result.per_sample) == list(expected.per_sample)
    assert 0.4 < result.score < 0.9
    assert (result.metric, result.samples) == (expected.metric, PHOTOGRAPHS) == ("top-1", 120)


OUTPUTS = ["num_detections", "detection_boxes", "detection_scores", "detection_classes"]
DETECTOR = """\
model:
  name: detector
  framework: tensorflow
  inputs: image
  outputs: num_detections,detection_boxes,detection_scores,detection_classes
quantization:
  calibration:
    sampling_size: 32
    dataloader:
      dataset:
        {dataset}: {{}}
      transform:
        Resize: {{size: 352}}
evaluation:
  accuracy:
    metric: {{COCOmAP: {{}}}}
    dataloader:
      batch_size: 8
      dataset:
        {dataset}: {{}}
      transform:
        Resize: {{size: 352}}
tuning:
  accuracy_criterion: {{relative: 0.03}}
"""


def decoded_in_the_graph(path, category_ids):
    """FastestDet between its preprocessing and its decoding, as networks of the zoo have them."""
    import tensorflow as tf

    fastestdet = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 352, 352, 3], name="image")
        (output,) = tf.import_graph_def(
            fastestdet, {"input:0": image[..., ::-1] / 255.0}, ["output:0"], name="net"
        )
        cells = tf.constant(np.stack(np.meshgrid(np.arange(22), np.arange(22)), -1), tf.float32)
        centres = (cells + tf.tanh(output[..., 1:3])) / 22.0
        sides = tf.sigmoid(output[..., 3:5]) / 2.0
        corners = tf.concat([centres - sides, centres + sides], -1)
        boxes = tf.reshape(tf.gather(corners, [1, 0, 3, 2], axis=-1), [-1, 484, 1, 4])
        best = tf.argmax(output[..., 5:], -1)
        scores = tf.clip_by_value(output[..., 0], 0, 1) ** 0.6
        scores *= tf.clip_by_value(tf.reduce_max(output[..., 5:], -1), 0, 1) ** 0.4
        each = tf.reshape(tf.one_hot(best, 80) * scores[..., None], [-1, 484, 80])
        found = tf.image.combined_non_max_suppression(
            boxes, each, 100, 100, iou_threshold=0.45, score_threshold=0.001, clip_boxes=False
        )
        classes = tf.gather(tf.constant(category_ids, tf.float32), tf.cast(found[2], tf.int32))
        tf.cast(found[3], tf.float32, name="num_detections")
        tf.identity(found[0], name="detection_boxes")
        tf.identity(found[1], name="detection_scores")
        tf.identity(classes, name="detection_classes")
    return tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), OUTPUTS)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """The wrapped network, and the first images of COCO val2017, as they are and as records."""
    folder = tmp_path_factory.mktemp("detector")
    images = coco_images(Path(DATA) / "coco", topology="detector", limit=SCENES)
    for name in ("annotations", "val2017"):
        (folder / "coco" / name).mkdir(parents=True)
    for sample in images.samples:
        (folder / "coco" / "val2017" / sample.path.name).symlink_to(sample.path.resolve())
    file = folder / "coco" / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(images.ground_truth))
    ids = sorted(row["id"] for row in images.ground_truth["categories"])
    graph_def = decoded_in_the_graph(Path(DATA) / "models" / "fastestdet.pb", ids)
    (folder / "net.pb").write_bytes(graph_def.SerializeToString())
    sys_argv = sys.argv
    try:
        sys.argv = ["lpot_examples", "dataset", "convert", "--dataset=coco", "--num_shards=3"]
        sys.argv += [f"--source={folder / 'coco'}", f"--output_dir={folder / 'records'}"]
        assert cli._run() == (0, "")
    finally:
        sys.argv = sys_argv
    return folder


def by_yaml(detector, dataset, location):
    file = detector / f"{dataset}.yaml"
    file.write_text(DETECTOR.format(dataset=dataset))
    return open_task(config=file, dataset_location=location).with_model(detector / "net.pb")


def test_map_from_records_is_that_of_the_raw_images(detector):
    raw = by_yaml(detector, "COCORaw", detector / "coco")
    records = by_yaml(detector, "COCORecord", detector / "records")
    scores = []
    for task in (raw, records):
        result = task.eval_func()(load_model(task.model, outputs=OUTPUTS))
        assert result.samples == SCENES
        assert result.resample(np.arange(SCENES)) == pytest.approx(result.score)
        scores.append(result)
    assert scores[0].score == pytest.approx(scores[1].score, abs=1e-6)
    assert scores[0].details == pytest.approx(scores[1].details, abs=1e-6)
    assert scores[0].score == pytest.approx(folder_score(detector, raw), abs=1e-6)
    # The folder fastestdet resizes with Pillow, which averages; `Resize` does as TensorFlow.
    fastestdet = load_model(Path(DATA) / "models" / "fastestdet.pb")
    averaged = find_topology("fastestdet").eval_func(detector / "coco")(fastestdet)
    assert scores[0].score == pytest.approx(averaged.score, abs=0.02)
    assert averaged.score > 0.1


def folder_score(detector, task):
    """The mAP of annotations in pixels, of the same images."""
    images = coco_images(detector / "coco", topology="detector")
    inputs = [batch for batch, _ in task.eval_func()._loader]
    ids = np.split(np.asarray([one.label for one in images.samples]), range(8, SCENES, 8))

    def decode(outputs, sizes):
        number, boxes, scores, classes = outputs
        return [
            Detections(
                boxes=(boxes[at, : int(count)] * np.tile(sizes[at][::-1], 2))[:, [1, 0, 3, 2]],
                scores=scores[at, : int(count)],
                categories=classes[at, : int(count)].astype(int),
            )
            for at, count in enumerate(number)
        ]

    evaluation = DetectionEvaluation(
        [*zip(inputs, ids, strict=True)], ground_truth=images.ground_truth, decode=decode
    )
    return evaluation(load_model(detector / "net.pb", outputs=OUTPUTS)).score


@pytest.mark.slow
def test_a_detector_is_tuned_from_records_alone(detector, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    task = by_yaml(detector, "COCORecord", detector / "records")
    options = [f"--config={task.spec.source}", f"--input_model={task.model}"]
    options += [f"--dataset_location={detector / 'records'}", "--output_model=out.pb"]
    monkeypatch.setattr(
        sys, "argv", ["lpot_examples", "tune", *options, "--benchmark_seconds=0", "--max_trials=4"]
    )
    code, words = cli._run()
    assert code in (0, 2), words
    names = {0: "out.report.json", 2: "out.not-certified.report.json"}
    report = json.loads((tmp_path / names[code]).read_text())
    fp32 = task.eval_func()(load_model(task.model, outputs=OUTPUTS)).score
    assert report["accuracy"]["fp32"] == pytest.approx(fp32)
    assert report["accuracy"]["int8"] > fp32 * 0.9
