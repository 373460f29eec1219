import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.records.example import make_example, parse_example
from lpot_examples.data.records.features import RecordOptions, features
from lpot_examples.data.sources.annotated import AnnotatedImage, Annotation, Content, Troubles
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import picture


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(1))
    return Content(path=path)


def annotated(content, *boxes, **options):
    objects = [
        Annotation(box=box, label=18, text="dog", place=f"a.json: annotations[{index}]", area=7.5)
        for index, box in enumerate(boxes)
    ]
    return AnnotatedImage(
        source_id="42", filename="a.jpg", content=content, objects=tuple(objects), **options
    )


def made(image, dataset="coco", *, skip=False, **options):
    troubles, notes = Troubles(skip=skip), []
    row = features(image, RecordOptions(dataset=dataset, **options), troubles=troubles, notes=notes)
    return row, troubles.found, notes


def test_features_of_detection(content):
    row, _, notes = made(annotated(content, (12, 8, 24, 16)))
    data = content.path.read_bytes()
    assert row["image/encoded"] == data
    assert row["image/key/sha256"] == hashlib.sha256(data).hexdigest()
    assert (row["image/width"], row["image/height"], row["image/format"]) == (48, 32, "jpeg")
    assert (row["image/source_id"], row["image/filename"]) == ("42", "a.jpg")
    sides = [row[f"image/object/bbox/{side}"] for side in ("xmin", "ymin", "xmax", "ymax")]
    assert np.concatenate(sides).tolist() == [0.25, 0.25, 0.5, 0.5]
    assert row["image/object/class/label"].tolist() == [18]
    assert row["image/object/class/text"] == ["dog"]
    assert row["image/object/area"].tolist() == [7.5]
    assert row["image/object/is_crowd"].tolist() == [0]
    assert notes == []


def test_an_image_without_objects_has_empty_features_with_types(content):
    row, _, _ = made(annotated(content))
    example = parse_example(make_example(row))
    assert example["image/object/bbox/xmin"].dtype == np.float32
    assert example["image/object/class/label"].dtype == np.int64
    assert len(example["image/object/area"]) == 0


def test_features_of_voc_and_of_classification(content):
    row, _, _ = made(annotated(content, (1, 1, 5, 5)), "voc")
    assert {"difficult", "truncated", "view"} <= {name.split("/")[-1] for name in row}
    assert "image/object/area" not in row
    image = annotated(content, label=3, text="tench", synset="n01440764")
    row, _, _ = made(image, "imagenet")
    assert (row["image/class/label"], row["image/class/text"]) == (3, "tench")
    assert row["image/class/synset"] == "n01440764"
    assert (row["image/colorspace"], row["image/channels"]) == ("RGB", 3)
    assert "image/object/bbox/xmin" not in row


def test_boxes_of_imagenet_are_relative_to_their_own_frame(content):
    item = Annotation(box=(10, 20, 60, 90), label=5, text="x", place="p", frame=(100, 200))
    image = AnnotatedImage(source_id="1", filename="a", content=content, objects=(item,))
    row, _, _ = made(image, "imagenet")
    assert row["image/object/bbox/xmax"].tolist() == pytest.approx([0.6])
    assert row["image/object/bbox/ymax"].tolist() == pytest.approx([0.45])
    assert row["image/object/bbox/label"].tolist() == [5]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((5, 5, 5, 9), "must have a box with an area; it goes from (5, 5) to (5, 9)"),
        ((9, 5, 5, 9), "must have a box with an area"),
        ((48, 5, 60, 9), "outside its image of 48x32 pixels"),
        ((-9, -9, 0, 5), "outside its image"),
    ],
)
def test_boxes_that_cannot_be_used_are_named_or_left_out(content, box, message):
    image = annotated(content, (1, 1, 5, 5), box)
    with pytest.raises(DataError) as error:
        made(image)
    assert message in str(error.value)
    assert "a.json: annotations[1]" in str(error.value)
    row, found, _ = made(image, skip=True)
    assert len(row["image/object/bbox/xmin"]) == len(row["image/object/class/text"]) == 1
    assert [trouble.kind for trouble in found] == ["box"]


def test_a_pixel_outside_is_kept_and_more_is_cut_off(content):
    row, found, notes = made(annotated(content, (-0.5, 0, 48.75, 10), (40, 20, 60, 32)))
    assert row["image/object/bbox/xmin"].tolist() == pytest.approx([-0.5 / 48, 40 / 48])
    assert row["image/object/bbox/xmax"].tolist() == pytest.approx([48.75 / 48, 1.0])
    assert notes == ["a.json: annotations[1]: the box reached out of the image and was cut off"]
    assert found == []


def test_an_image_of_another_size_is_named(content):
    with pytest.raises(DataError, match=r"a\.jpg must be 50x32 pixels, .* it is 48x32"):
        made(annotated(content, size=(50, 32)))


def test_masks_are_drawn_as_png(content):
    triangle = Annotation(
        box=(0, 0, 40, 30),
        label=1,
        text="person",
        place="p",
        segmentation=[[0, 0, 40, 0, 0, 30]],
    )
    crowd = Annotation(
        box=(0, 0, 48, 1),
        label=1,
        text="person",
        place="q",
        crowd=True,
        segmentation={"size": [32, 48], "counts": [0, 1] + [31, 1] * 47 + [31]},
    )
    image = AnnotatedImage(source_id="1", filename="a", content=content, objects=(triangle, crowd))
    row, _, _ = made(image, masks=True)
    first, second = (np.asarray(Image.open(io.BytesIO(m))) for m in row["image/object/mask"])
    assert first.shape == (32, 48)
    assert (first[2, 2], first[28, 38]) == (1, 0)
    assert first.sum() == pytest.approx(40 * 30 / 2, rel=0.1)
    assert (second[0].sum(), second.sum()) == (48, 48)


def test_a_missing_or_malformed_mask_is_named(content):
    with pytest.raises(DataError, match=r"annotations\[0\] has no segmentation"):
        made(annotated(content, (1, 1, 5, 5)), masks=True)
    bad = Annotation(box=(1, 1, 5, 5), label=1, text="x", place="p", segmentation={"counts": "a"})
    image = AnnotatedImage(source_id="1", filename="a", content=content, objects=(bad,))
    with pytest.raises(DataError, match="p must have a segmentation of polygons"):
        made(image, masks=True)
