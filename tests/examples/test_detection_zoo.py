"""The folders of COCO detectors, on made-up data, on COCO and with synthetic networks."""

import io
import json
import os
import tarfile
import zipfile
from dataclasses import replace
from functools import cache
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from file_server import file_server
from PIL import Image

from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.cli import app
from lpot_examples.data.records.example import make_example
from lpot_examples.data.shapes import render_split
from lpot_examples.errors import DataError
from lpot_examples.evaluation.detection import coco_results
from lpot_examples.evaluation.zoo_detection import by_name, zoo_detections
from lpot_examples.events import Listener
from lpot_examples.quantization import tune
from lpot_examples.spec import load_spec
from lpot_examples.testing.detectors import INPUT, OUTPUTS, DetectorSpec, build_detector
from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.public_datasets import PUBLIC
from lpot_examples.zoo.topologies import find_topology

DATA = os.environ.get("LPOT_REAL_DATA")
NAMES = tuple(name for name, one in CATALOGUE.items() if one.domain == "object_detection")
MASKED = "mask_rcnn_inception_v2"
IMAGES = 12
real_data = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA, reason="LPOT_REAL_DATA is not set: COCO is NOT tested"),
]


def write_annotations(root, images, annotations, categories):
    table = {
        "images": images,
        "annotations": [{"id": n, **row} for n, row in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": str(number)} for number in sorted(categories)],
    }
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(table))


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Drawn scenes of three sizes, with boxes and polygons, in COCO's layout."""
    root = tmp_path_factory.mktemp("coco")
    (root / "val2017").mkdir()
    images, annotations = [], []
    for number, scene in enumerate(render_split("validation", IMAGES), 1):
        pixels = scene.image[: (96, 96, 80)[number % 3], : (96, 72, 96)[number % 3]]
        name = f"{number:012}.png"
        Image.fromarray(pixels).save(root / "val2017" / name)
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        x, y, w, h = 10 + number, 12, 30, 40 - number
        annotations.append(
            {
                "image_id": number,
                "category_id": 1 + number % 2,
                "bbox": [x, y, w, h],
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
        )
    write_annotations(root, images, annotations, {1, 2})
    return root


class Knowing:
    """A detector that knows the annotations, by the pixels of the images.

    With noise its boxes are off by some pixels.
    """

    output_names = ("detection_classes", "detection_masks", *OUTPUTS[:3])

    def __init__(self, root, noise=0.0):
        self.noise = noise
        table = json.loads((root / "annotations" / "instances_val2017.json").read_text())
        self.rows = {}
        for image in table["images"]:
            pixels = np.asarray(Image.open(root / "val2017" / image["file_name"]).convert("RGB"))
            found = [row for row in table["annotations"] if row["image_id"] == image["id"]]
            self.rows[pixels.tobytes()] = (image["width"], image["height"], found)

    def __call__(self, batch):
        assert batch.dtype == np.uint8
        parts = [self.one(image) for image in batch]
        return tuple(np.stack([part[name] for part in parts]) for name in self.output_names)

    def one(self, image):
        width, height, found = self.rows[image.tobytes()]
        boxes, classes = np.zeros((100, 4), np.float32), np.ones(100, np.float32)
        for index, row in enumerate(found):
            rng = np.random.default_rng(row["id"])
            x, y, w, h = np.add(row["bbox"], self.noise * rng.normal(size=4))
            boxes[index] = y / height, x / width, (y + h) / height, (x + w) / width
            classes[index] = row["category_id"]
        return {
            "detection_boxes": boxes,
            "detection_classes": classes,
            "detection_scores": (np.arange(100) < len(found)).astype(np.float32),
            "num_detections": np.float32(len(found)),
            "detection_masks": np.ones((100, 15, 15), np.float32),
        }


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_detector_that_knows_the_annotations_scores_one(name, batch_size, coco):
    evaluation = find_topology(name).eval_func(coco, batch_size)
    result = evaluation(Knowing(coco))
    assert result.score == pytest.approx(1.0)
    assert result.samples == evaluation.samples == IMAGES
    if name == MASKED:  # pixels and polygons differ by an edge
        assert result.details["mask AP75"] == pytest.approx(1.0)
        assert result.scores["mask mAP"] > 0.9
    else:
        assert not result.scores
    assert find_topology(name).eval_func(coco, limit=2).samples == 2


@pytest.mark.parametrize("name", NAMES)
def test_calibration_images_keep_their_size(name, coco):
    loader = find_topology(name).q_dataloader(coco)
    first, second = list(loader), list(loader)
    assert len(loader) == len(first) == IMAGES
    assert {images.shape for images, _ in first} == {(1, 96, 72, 3), (1, 80, 96, 3), (1, 96, 96, 3)}
    for (images, _), (again, _) in zip(first, second, strict=True):
        assert images.dtype == np.uint8
        assert np.array_equal(images, again)


def test_calibration_prefers_training_images(coco, tmp_path):
    """Without any, validation images come in an order that depends on their names alone."""
    drawn = [sample.path.name for sample in find_topology(NAMES[0]).q_dataloader(coco).samples]
    assert sorted(drawn) == sorted(path.name for path in (coco / "val2017").iterdir())
    assert drawn != sorted(drawn)
    for folder in ("val2017", "train2017"):
        (tmp_path / folder).mkdir()
        for name in drawn[1:4]:
            (tmp_path / folder / name).symlink_to(coco / "val2017" / name)
    of = lambda: find_topology(NAMES[0]).q_dataloader(tmp_path).samples  # noqa: E731
    assert [sample.path.parent.name for sample in of()] == ["train2017"] * 3
    assert [sample.path.name for sample in of()] == sorted(drawn[1:4])
    for path in (tmp_path / "train2017").iterdir():
        path.unlink()
    assert [sample.path.name for sample in of()] == drawn[1:4]


def test_masks_need_annotations_with_masks(coco, tmp_path):
    (tmp_path / "val2017").symlink_to(coco / "val2017")
    table = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    for row in table["annotations"]:
        del row["segmentation"]
    write_annotations(tmp_path, table["images"], [{**row} for row in table["annotations"]], {1, 2})
    with pytest.raises(DataError, match="12 of 12 have none"):
        find_topology(MASKED).eval_func(tmp_path)
    assert find_topology(NAMES[0]).eval_func(tmp_path)(Knowing(tmp_path)).score == pytest.approx(1)


def write_records(path, coco, *, order, masks=True):
    """The validation images as records in the standard features, in this order."""
    import tensorflow as tf
    from pycocotools import mask as coco_mask

    table = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in order:
            image = table["images"][index]
            width, height = image["width"], image["height"]
            rows = [row for row in table["annotations"] if row["image_id"] == image["id"]]
            corners = np.array([row["bbox"] for row in rows], np.float32)
            corners[:, 2:] += corners[:, :2]
            drawn = []
            for row in rows:
                runs = coco_mask.merge(coco_mask.frPyObjects(row["segmentation"], height, width))
                png = io.BytesIO()
                Image.fromarray(coco_mask.decode(runs)).save(png, "PNG")
                drawn.append(png.getvalue())
            features = {
                "image/encoded": (coco / "val2017" / image["file_name"]).read_bytes(),
                "image/source_id": str(image["id"]),
                "image/height": height,
                "image/width": width,
                "image/object/bbox/xmin": corners[:, 0] / width,
                "image/object/bbox/ymin": corners[:, 1] / height,
                "image/object/bbox/xmax": corners[:, 2] / width,
                "image/object/bbox/ymax": corners[:, 3] / height,
                "image/object/class/label": [row["category_id"] for row in rows],
                "image/object/is_crowd": [0] * len(rows),
                **({"image/object/mask": drawn} if masks else {}),
            }
            writer.write(make_example(features))


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("name", ["ssd_resnet50_v1", MASKED])
def test_records_score_as_their_images_do(name, batch_size, coco, tmp_path):
    order = np.random.default_rng(0).permutation(IMAGES)
    write_records(tmp_path / "coco_val.record-00000-of-00002", coco, order=order[:7])
    write_records(tmp_path / "coco_val.record-00001-of-00002", coco, order=order[7:])
    topology, model = find_topology(name), Knowing(coco, noise=1.0)
    expected = topology.eval_func(coco)(model)
    assert 0.2 < expected.score < 0.95
    for location in (tmp_path, tmp_path / "coco_val.record", tmp_path / "coco_val.record-*"):
        result = topology.eval_func(location, batch_size)(model)
        assert result.score == pytest.approx(expected.score, abs=1e-6)
        assert result.samples == IMAGES
        # A mask of the annotations went through pixels, so edges may differ.
        assert result.scores == pytest.approx(dict(expected.scores), abs=0.02)
    few = topology.eval_func(tmp_path, limit=5)(model)
    assert few.score == pytest.approx(topology.eval_func(coco, limit=5)(model).score, abs=1e-6)


def test_records_calibrate(coco, tmp_path):
    write_records(tmp_path / "val.record", coco, order=range(IMAGES))
    topology = find_topology(NAMES[0])
    drawn = [images.tobytes() for images, _ in topology.q_dataloader(tmp_path)]
    assert drawn == [images.tobytes() for images, _ in topology.q_dataloader(tmp_path)]
    listed = [images.tobytes() for images, _ in topology.eval_func(tmp_path)._batches]
    assert sorted(drawn) == sorted(listed) and drawn != listed
    write_records(tmp_path / "train.record", coco, order=[4, 1])
    training = [images.tobytes() for images, _ in topology.q_dataloader(tmp_path)]
    assert training == [listed[4], listed[1]]
    assert topology.eval_func(tmp_path).samples == IMAGES


def test_records_that_cannot_be_used(coco, tmp_path):
    topology = find_topology(MASKED)
    bare = tmp_path / "bare.record"
    write_records(bare, coco, order=[0], masks=False)
    with pytest.raises(DataError, match=r"bare.record: record 0 must hold a mask .*it holds 0"):
        topology.eval_func(bare)
    twice = tmp_path / "twice.record"
    write_records(twice, coco, order=[3, 5, 3])
    with pytest.raises(DataError, match=r"record 2 repeats the image id 4 of .*record 0"):
        topology.eval_func(twice)
    empty = tmp_path / "empty.record"
    empty.write_bytes(b"")
    for build in (topology.eval_func, topology.q_dataloader):
        with pytest.raises(DataError, match="at least one record"):
            build(empty)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_and_how_to_get_it(name, tmp_path):
    topology = find_topology(name)
    for location in (None, tmp_path / "nowhere", tmp_path):
        for build in (topology.q_dataloader, topology.eval_func):
            with pytest.raises(DataError, match=f"cocodataset.org.*--topology={name}"):
                build(location)


@pytest.mark.parametrize("name", NAMES)
def test_specs_and_figures(name):
    topology = find_topology(name)
    spec = load_spec(topology.spec_path)
    outputs = {*OUTPUTS, *(["detection_masks"] if name == MASKED else [])}
    assert set(spec.model.outputs) == outputs == set(CATALOGUE[name].outputs)
    assert tuple(spec.model.inputs) == CATALOGUE[name].inputs
    expected = json.loads((topology.folder / "expected.json").read_text())
    assert expected["fp32"] is None, "what was measured is tested: add the test"
    assert expected["published"]["source"].startswith("https://github.com/tensorflow/models/")
    lines = [len(path.read_text().splitlines()) for path in topology.folder.glob("*.py")]
    assert max(lines) < 25, "what is common lives in the package"


@pytest.fixture(scope="module")
def knowing():
    """A detector that knows COCO."""
    return Knowing(Path(DATA) / "coco")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mark", [pytest.param(None, marks=real_data)])
def test_on_coco(name, mark, knowing):
    root = Path(DATA) / "coco"
    calibration = find_topology(name).q_dataloader(root)
    images, _ = next(iter(calibration))
    assert len(calibration) == 64 and images.dtype == np.uint8 and images.shape[::3] == (1, 3)
    if name == MASKED:  # the annotations of this subset have no masks
        with pytest.raises(DataError, match="needs a segmentation"):
            find_topology(name).eval_func(root)
        return
    limit = None if name == NAMES[0] else 24  # what scores them is common to all
    result = find_topology(name).eval_func(root, limit=limit)(knowing)
    assert (result.samples, result.score) == (limit or 128, pytest.approx(1.0, abs=1e-6))


def test_a_saved_model_of_tensorflow_2(coco, tmp_path):
    """Its signature names the outputs, has some more of them, and takes one image at a time."""
    import tensorflow as tf

    class Detector(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def __call__(self, input_tensor):
            box = [[10 / 96, 12 / 96, 60 / 96, 40 / 96]] * 2
            weight = tf.reduce_mean(tf.cast(input_tensor, tf.float32)) / 1e6
            return {
                "detection_anchor_indices": tf.constant([[3.0, 4.0]]),
                "detection_boxes": tf.constant([box]) + 0 * weight,
                "detection_classes": tf.constant([[2.0, 1.0]]),
                "detection_multiclass_scores": tf.zeros([1, 2, 91]),
                "detection_scores": tf.constant([[0.9, 0.0]]) + weight,
                "num_detections": tf.constant([2.0]),
                "raw_detection_boxes": tf.zeros([1, 400, 4]),
            }

    tf.saved_model.save(Detector(), str(tmp_path / "saved_model"))
    (tmp_path / "val2017").symlink_to(coco / "val2017")
    table = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    square = [image for image in table["images"] if image["width"] == image["height"] == 96]
    box = {"category_id": 2, "bbox": [12, 10, 28, 50]}
    rows = [{**box, "image_id": image["id"]} for image in square]
    write_annotations(tmp_path, square, rows, {1, 2})
    topology = find_topology("efficientdet_d0")
    spec = load_spec(topology.spec_path)
    model = load_model(
        tmp_path / "saved_model", inputs=spec.model.inputs, outputs=spec.model.outputs
    )
    result = topology.eval_func(tmp_path)(model)
    assert (result.score, result.samples) == (pytest.approx(1.0), len(square))


@cache
def published(spec, *, masks):
    """A synthetic network that numbers classes from 1, as the exporter of the published ones does.

    With masks there is a small convolutional network on what each box shows.
    """
    import tensorflow as tf

    graph, rng = tf.Graph(), np.random.default_rng(0)
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], INPUT)
        parts = tf.import_graph_def(
            build_detector(spec),
            name="network",
            input_map={f"{INPUT}:0": image},
            return_elements=[f"{name}:0" for name in OUTPUTS],
        )
        found = dict(zip(OUTPUTS, parts, strict=True))
        found["detection_classes"] += 1.0
        if masks:
            boxes = found["detection_boxes"]
            count, each = tf.shape(boxes)[0], spec.detections
            owner = tf.repeat(tf.range(count), each)
            pixels = tf.cast(image, tf.float32) / 127.5 - 1
            seen = tf.image.crop_and_resize(pixels, tf.reshape(boxes, [-1, 4]), owner, [15, 15])
            for depth, width in ((3, 16), (16, 1)):
                weights = rng.normal(0, 1 / np.sqrt(9 * depth), (3, 3, depth, width))
                seen = tf.nn.conv2d(seen, tf.constant(weights, tf.float32), 1, "SAME")
                seen = tf.nn.relu(seen) if width > 1 else tf.sigmoid(8 * seen)
            found["detection_masks"] = tf.reshape(seen, tf.stack([count, each, 15, 15]))
        for name, value in found.items():
            tf.identity(value, name=name)
        return tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), list(found))


def annotate(model, coco, root, *, masks):
    """Make the surest detections of a network the annotations, so that it is a good one."""
    table = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    (root / "val2017").symlink_to(coco / "val2017")
    rows = []
    for image in table["images"]:
        pixels = np.asarray(Image.open(root / "val2017" / image["file_name"]).convert("RGB"))
        outputs = by_name(model, model(pixels[None]))
        size = np.array([[image["width"], image["height"]]])
        found = zoo_detections(outputs, size, categories=frozenset(range(9)), masks=masks)[0]
        for row in coco_results(image["id"], found)[:5]:
            if masks:
                row["segmentation"]["counts"] = row["segmentation"]["counts"].decode()
            rows.append({key: value for key, value in row.items() if key != "score"})
    write_annotations(root, table["images"], rows, range(9))


NETWORK = DetectorSpec(
    network="ssd_mobilenet_v1", size=64, classes=3, width=0.25, detections=20, score_threshold=0.03
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssd_mobilenet_v1", MASKED])
def test_a_whole_tuning_of_a_synthetic_network(name, coco, tmp_path):
    """From the folder's own files to a certified int8 network, better than the bar asks."""
    masks, topology = name == MASKED, find_topology(name)
    file = tmp_path / "network.pb"
    file.write_bytes(published(NETWORK, masks=masks).SerializeToString())
    overrides = {
        "tuning.accuracy_criterion.relative": 0.3,
        "tuning.workspace.path": str(tmp_path / "workspace"),
        "quantization.calibration.sampling_size": 8,
    }
    spec = load_spec(topology.spec_path, overrides=overrides)
    model = load_model(file, inputs=spec.model.inputs, outputs=spec.model.outputs)
    annotate(model, coco, tmp_path, masks=masks)
    result = tune(
        spec,
        file,
        topology.q_dataloader(tmp_path),
        eval_func=topology.eval_func(tmp_path),
        output=tmp_path / "int8.pb",
        listener=Listener(),
        benchmark_seconds=0,
    )
    assert result.met
    accuracy = result.report["accuracy"]
    assert (accuracy["fp32"], accuracy["samples"]) == (pytest.approx(1.0), IMAGES)
    assert accuracy["int8"] > 0.7
    names = ["box mAP", "mask mAP"] if masks else ["mAP"]
    assert [metric["name"] for metric in accuracy["metrics"]] == names
    assert (accuracy["interval"] is None) is masks
    precisions = {row["precision"] for row in result.report["ops"] if "Conv2D" in row["type"]}
    assert precisions == {"int8"}
    int8 = load_model(tmp_path / "int8.pb", outputs=spec.model.outputs)
    evaluation = topology.eval_func(tmp_path, batch_size=4)
    assert evaluation(int8).score == pytest.approx(accuracy["int8"], abs=1e-3)
    other = TensorFlowModel(published(replace(NETWORK, seed=1), masks=masks), outputs=OUTPUTS)
    if not masks:
        assert evaluation(other).score < 0.5, "any network scores well on these annotations"


def archived(folder, names):
    """Return a zip of files and folders of a folder."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            for path in sorted((folder / name).rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
    return content.getvalue()


def with_polygons(file):
    """Give every annotation its box for a mask, as COCO's have masks."""
    table = json.loads(file.read_text())
    for row in table["annotations"]:
        x, y, w, h = row["bbox"]
        row["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    file.write_text(json.dumps(table))


@pytest.mark.slow
def test_the_name_is_all_that_is_typed(coco, tmp_path, monkeypatch, capsys):
    """``run_tuning.sh --topology=ssd_mobilenet_v1``: network and data are fetched."""
    known = CATALOGUE["ssd_mobilenet_v1"]
    graph = tmp_path / "made" / known.member
    graph.parent.mkdir(parents=True)
    graph.write_bytes(published(NETWORK, masks=False).SerializeToString())
    made = tmp_path / "coco"
    made.mkdir()
    annotate(load_model(graph), coco, made, masks=False)
    with_polygons(made / "annotations" / "instances_val2017.json")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(graph, known.member)
    bodies = {
        known.url: packed.getvalue(),
        PUBLIC["coco"]["annotations"].url: archived(made, ["annotations"]),
        PUBLIC["coco"]["val2017"].url: archived(coco, ["val2017"]),
    }
    own = {
        name: replace(
            PUBLIC["coco"][name], md5=md5(bodies[PUBLIC["coco"][name].url]).hexdigest(), size=None
        )
        for name in ("annotations", "val2017")
    }
    monkeypatch.setattr("lpot_examples.zoo.public_datasets.PUBLIC", {"coco": own})
    bare = replace(known, checksum=None, size=None)
    for module in ("catalogue", "prepare"):
        target = f"lpot_examples.zoo.{module}.CATALOGUE"
        monkeypatch.setattr(target, {**CATALOGUE, known.name: bare}, raising=False)
    yaml = find_topology(known.name).spec_path.read_text()
    easy = tmp_path / "easy.yaml"
    easy.write_text(yaml.replace("relative: 0.01", "relative: 0.3"))
    monkeypatch.chdir(tmp_path)
    with file_server() as server:
        server.files.update({urlsplit(url).path: body for url, body in bodies.items()})
        monkeypatch.setenv("http_proxy", server.address)
        monkeypatch.delenv("no_proxy", raising=False)
        options = ["--config=easy.yaml", "--benchmark_seconds=0"]
        app(["tune", f"--topology={known.name}", *options], standalone_mode=False)
        said = capsys.readouterr()
        assert "the accuracy bar is met" in said.out
        assert "is fetched into datasets/coco" in said.err
        asked = len(server.requests)
        assert asked == len(bodies)
        app(["tune", f"--topology={known.name}", *options], standalone_mode=False)
        assert len(server.requests) == asked
