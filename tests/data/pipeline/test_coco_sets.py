import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpot_examples.errors import DataError


@pytest.fixture
def coco(tmp_path, pixels):
    """Three images in COCO layout, the last without objects."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    images = [
        {"id": number, "file_name": f"{number}.jpg", "width": 30, "height": 20}
        for number in (7, 3, 5)
    ]
    for row in images:
        path = root / "val2017" / row["file_name"]
        Image.fromarray(pixels(row["id"])).save(path)
        np.save(f"{path}.npy", np.asarray(Image.open(path)))
    rows = [
        {"id": 1, "image_id": 3, "category_id": 18, "bbox": [6, 5, 12, 10], "area": 99.5},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 30, 20], "iscrowd": 1},
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4]},
    ]
    content = {
        "images": images,
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("name", ["COCORaw", "COCONpy"])
def test_images_in_the_order_of_their_ids(load, coco, name):
    loader = load({"dataset": {name: {"root": "coco", "num_cores": 2}}, "batch_size": 3})
    ((images, labels),) = loader
    decoded = [np.asarray(Image.open(coco / "val2017" / f"{number}.jpg")) for number in (3, 5, 7)]
    assert np.array_equal(images, decoded)
    first, empty, crowd = labels.images
    assert [one.image_id for one in labels.images] == [3, 5, 7]
    assert np.allclose(first.boxes, [[0.25, 0.2, 0.75, 0.6], [0.1, 1 / 30, 0.3, 4 / 30]])
    assert first.texts == ("dog", "person") and first.classes.tolist() == [18, 1]
    assert first.area.tolist() == [99.5, 12] and first.size == (20, 30)
    assert crowd.is_crowd.tolist() == [True] and len(empty) == 0


def test_other_folders(load, coco):
    (coco / "val2017").rename(coco / "photos")
    (coco / "annotations" / "instances_val2017.json").rename(coco / "mine.json")
    arguments = {"root": "coco", "img_dir": "photos", "anno_dir": "mine.json"}
    assert load({"dataset": {"COCORaw": arguments}}).sample_count == 3
    with pytest.raises(DataError, match=r"COCORaw needs the annotations .*instances_val2017"):
        load({"dataset": {"COCORaw": {"root": "coco", "img_dir": "photos"}}})


def test_missing_and_broken_files(load, coco):
    section = {"dataset": {"COCORaw": {"root": "coco"}}}
    Image.new("RGB", (9, 9)).save(coco / "val2017" / "5.jpg")
    with pytest.raises(DataError, match=r"5.jpg must be 30x20 pixels.*it is 9x9"):
        list(load(section))
    (coco / "val2017" / "5.jpg").unlink()
    with pytest.raises(DataError, match=r"3 images, of which 1 do not exist, the first .*5.jpg"):
        load(section)
    (coco / "val2017" / "5.jpg.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"5.jpg.npy must be an array of NumPy"):
        list(load({"dataset": {"COCONpy": {"root": "coco"}}}))


RESIZE = {"Resize": {"size": [64, 96]}, "Normalize": {"mean": [1, 2, 3], "std": 2}}


@pytest.mark.parametrize("transform", [{}, RESIZE, {"ResizeWithRatio": {"padding": True}}])
def test_records_of_the_same_images_give_equal_batches(load, coco, tmp_path, transform):
    _compare(load, coco, tmp_path, transform=transform, limit=None)


@pytest.mark.real_data
@pytest.mark.skipif("LPOT_REAL_DATA" not in os.environ, reason="LPOT_REAL_DATA is not set")
@pytest.mark.parametrize("transform", [{}, {"Resize": {"size": 320}}])
def test_records_of_real_images_give_equal_batches(load, tmp_path, transform):
    root = Path(os.environ["LPOT_REAL_DATA"]) / "coco"
    _compare(load, root, tmp_path, transform=transform, limit=None if transform else 40)


def _compare(load, root, tmp_path, *, transform, limit):
    """Convert, and compare what COCORecord gives with what COCORaw gives."""
    convert(root, tmp_path / "records")
    options = {"limit": limit, "split": "validation"}
    raw = load({"dataset": {"COCORaw": {"root": str(root)}}, "transform": transform}, **options)
    records = load(
        {"dataset": {"COCORecord": {"root": "records"}}, "transform": transform}, **options
    )
    theirs = {}
    for images, labels in records:
        theirs[labels.images[0].image_id] = (images, labels.images[0])
    assert len(theirs) == raw.sample_count == records.sample_count
    for images, labels in raw:
        (label,) = labels.images
        other, found = theirs[label.image_id]
        assert images.dtype == other.dtype and np.array_equal(images, other)
        assert np.allclose(found.boxes, label.boxes, atol=1e-6)
        for part in ("classes", "is_crowd", "difficult", "area"):
            assert np.array_equal(getattr(found, part), getattr(label, part)), part
        assert (found.texts, found.size) == (label.texts, label.size)


def convert(root, folder):
    """Write records with the project's converter."""
    from lpot_examples.data.records.convert import convert as write
    from lpot_examples.data.records.features import RecordOptions
    from lpot_examples.data.records.plan import Division
    from lpot_examples.data.sources.annotated import Troubles
    from lpot_examples.data.sources.coco import open_coco

    troubles = Troubles()
    write(
        open_coco(root, troubles=troubles),
        folder,
        division=Division(num_shards=2),
        options=RecordOptions(dataset="coco"),
        troubles=troubles,
    )
