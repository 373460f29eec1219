"""FastestDet's decoder against the formula, cell by cell."""

import json

import numpy as np
import pytest
from PIL import Image

from lpot_examples.errors import DataError, EvaluationError
from lpot_examples.zoo.folder_module import run_build
from lpot_examples.zoo.topologies import find_topology


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    """The topology's ``decode``, through a build function next to a copy of it."""
    folder = tmp_path_factory.mktemp("fastestdet")
    source = find_topology("fastestdet").folder / "decode.py"
    (folder / "decode.py").write_text(source.read_text())
    (folder / "give.py").write_text("def build():\n    import decode\n    return decode.decode\n")
    return run_build(folder / "give.py")


def quiet(images=1):
    return np.zeros((images, 22, 22, 85), np.float32)


def test_one_cell(decode):
    output = quiet(2)
    raw = np.array([0.3, -0.4, 0.2, -1.0])
    output[1, 4, 7, 0] = 0.8
    output[1, 4, 7, 1:5] = raw
    output[1, 4, 7, 5 + 12] = 0.6
    ids = np.arange(80) * 2 + 1
    nothing, found = decode(output, np.array([[100, 50], [640, 480]]), category_ids=ids)
    assert len(nothing.scores) == 0
    x, y = (7 + np.tanh(raw[0])) / 22, (4 + np.tanh(raw[1])) / 22
    width, height = 1 / (1 + np.exp(-raw[2:]))
    corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    assert found.boxes == pytest.approx(corners[None] * [640, 480, 640, 480], rel=1e-5)
    assert found.scores == pytest.approx([0.8**0.6 * 0.6**0.4])
    assert found.categories.tolist() == [25]


def test_channels_may_come_first(decode):
    """As the network in ONNX gives them."""
    output = np.random.default_rng(0).random((2, 22, 22, 85), np.float32)
    sizes, ids = np.array([[100, 50], [64, 48]]), np.arange(80)
    last = decode(output, sizes, category_ids=ids)
    first = decode(np.moveaxis(output, -1, 1), sizes, category_ids=ids)
    for one, other in zip(last, first, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_neighbours_of_one_class_are_suppressed(decode):
    output = quiet()
    output[0, 10, 10:12, 0] = (0.9, 0.8)
    output[0, 10, 10:12, 3:5] = 2.0  # wide boxes: they overlap
    output[0, 10, 10:12, 5] = 0.9
    (found,) = decode(output, np.array([[352, 352]]), category_ids=np.arange(80))
    assert len(found.scores) == 1
    output[0, 10, 11, 5:7] = (0.0, 0.9)  # of another class both stay
    (found,) = decode(output, np.array([[352, 352]]), category_ids=np.arange(80))
    assert found.categories.tolist() == [0, 1]


def test_broken_values_are_dropped(decode):
    output = np.full((1, 22, 22, 85), np.nan, np.float32)
    (found,) = decode(output, np.array([[10, 10]]), category_ids=np.arange(80))
    assert len(found.scores) == 0


@pytest.mark.parametrize("output", [np.zeros((1, 22, 22, 84)), np.zeros((2, 22, 22, 85)), (1, 2)])
def test_an_output_that_does_not_fit_is_an_error(decode, output):
    with pytest.raises(EvaluationError, match=r"FastestDet must give .*\[1, 22, 22, 85\]"):
        decode(output, np.array([[10, 10]]), category_ids=np.arange(80))


def test_annotations_of_other_categories_are_an_error(tmp_path):
    (tmp_path / "val2017").mkdir()
    (tmp_path / "annotations").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "val2017" / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 8}],
        "categories": [{"id": 1, "name": "raccoon"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}],
    }
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="80 categories of COCO; the annotations list 1"):
        find_topology("fastestdet").eval_func(tmp_path)
