"""The code of docs/own_model.md runs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.transforms import ImageTransform
from lpot_examples.zoo.classification import ImageClassifier
from lpot_examples.zoo.detection import CocoDetector
from lpot_examples.zoo.topologies import find_topology

PAGE = (Path(__file__).parents[2] / "docs" / "own_model.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def block(text):
    (found,) = [code for code in BLOCKS if text in code]
    return found


def test_the_classifier():
    names = {"ImageClassifier": ImageClassifier}
    exec(block("NETWORK = ImageClassifier("), names)
    assert names["NETWORK"].transform.height == 256
    transform = eval(block("ImageTransform(\n"), {"ImageTransform": ImageTransform})
    assert (transform.height, transform.width, transform.crop) == (192, 256, 0.875)
    (line,) = re.findall(r"`NETWORK = (CocoDetector.*?)`", PAGE)
    assert eval(line, {"CocoDetector": CocoDetector}).name == "my_model"


def test_the_detector(tmp_path):
    """A network that gives rows of four corners from 0 to 1, score and class."""
    folder = tmp_path / "object_detection" / "mine"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("model: {name: mine, framework: tensorflow}\n")
    (folder / "eval_func.py").write_text(block("def decode(output, sizes)"))
    (folder / "q_dataloader.py").write_text(
        "from lpot_examples.data.transforms import ImageTransform\n"
        "from lpot_examples.zoo.unlabelled import ImageNetwork\n"
        "NETWORK = ImageNetwork(name='mine', transform=ImageTransform(height=8, width=8))\n"
    )
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "val2017" / "0.png")
    row = {"id": 3, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 10]}
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": 40, "height": 20}],
        "categories": [{"id": 2, "name": "thing"}],
        "annotations": [row | {"area": 200, "iscrowd": 0}],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    evaluation = find_topology("mine", [tmp_path]).eval_func(tmp_path)
    rows = np.array([[0.25, 0.25, 0.75, 0.75, 0.9, 2], [0.25, 0.25, 0.75, 0.75, 0.8, 2]])
    result = evaluation(lambda images: np.stack([rows] * len(images)))
    assert result.score == pytest.approx(1.0)


def test_the_page_names_every_preprocessing():
    from lpot_examples.data.preprocessing import PREPROCESSINGS

    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `preprocessing` |")]
    named = re.findall(r"`(\w+)`", row.partition("preprocessing.py`:")[2])
    assert set(named) - {"ImageTransform"} == set(PREPROCESSINGS)
