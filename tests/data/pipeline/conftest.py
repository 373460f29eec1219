"""Small images, records and loaders."""

import io

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.pipeline import build_dataloader
from lpot_examples.data.records.example import make_example
from lpot_examples.data.records.shard import write_record
from lpot_examples.spec.evaluation import Dataloader


def _pixels(seed, height=20, width=30, channels=3):
    dice = np.random.default_rng(seed)
    return dice.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def pixels():
    """Random uint8 pixels: ``pixels(seed, height, width)``."""
    return _pixels


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def png():
    """An array as the bytes of a PNG."""
    return _png


@pytest.fixture
def shard(tmp_path):
    """Write features of examples as a shard: ``shard("name", [features, …])``."""

    def write(name, rows):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for row in rows:
                write_record(file, row if isinstance(row, bytes) else make_example(row))
        return path

    return write


@pytest.fixture
def objects():
    """Features of an image with objects, as TensorFlow's object detection API writes them."""

    def features(seed, boxes=((0.1, 0.2, 0.5, 0.6),), classes=(1,), texts=("cat",), **more):
        array = _pixels(seed)
        corners = np.asarray(boxes, np.float32).reshape(-1, 4)
        return {
            "image/encoded": _png(array),
            "image/source_id": str(100 + seed),
            "image/filename": f"{seed}.png",
            "image/height": array.shape[0],
            "image/width": array.shape[1],
            **{
                f"image/object/bbox/{name}": corners[:, i]
                for i, name in enumerate(("ymin", "xmin", "ymax", "xmax"))
            },
            "image/object/class/label": np.asarray(classes, np.int64),
            "image/object/class/text": list(texts),
            **more,
        }

    return features


@pytest.fixture
def load(tmp_path):
    """Build a loader of a ``dataloader`` section, its paths relative to ``tmp_path``."""

    def build(section, **options):
        options = {"dataset_location": None, "base": tmp_path, **options}
        return build_dataloader(Dataloader.model_validate(section), **options)

    return build
