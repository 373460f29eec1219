import pytest

from lpot_examples.data.segmentations import check_segmentations
from lpot_examples.errors import DataError


def table(*masks):
    rows = [{"id": 7 + number, "image_id": 1, "segmentation": m} for number, m in enumerate(masks)]
    return {"images": [{"id": 1, "width": 40, "height": 30}], "annotations": rows}


def test_what_can_be_drawn():
    runs = {"size": [30, 40], "counts": [3, 5, 1192]}
    check_segmentations(table([[0, 0, 4, 0, 4, 4.5]], runs), source="coco")
    check_segmentations(table(), source="coco")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "coco: .*1 of 2 have none, the first of id 8.*score boxes only"),
        ([], "1 of 2 have none"),
        ([[0, 0, 4, 0]], "annotation 8 has a polygon .*three or more points"),
        ([[0, 0, 4, 0, 4, 4, 4]], "three or more points"),
        ([0, 0, 4, 0, 4, 4], "three or more points"),
        ([[0, 0, 4, 0, 4, "a"]], "no numbers"),
        ({"size": [40, 30], "counts": [1200]}, r"size \[40, 30\]; its image has \[30, 40\]"),
        ({"size": [30, 40]}, "run lengths"),
        ("abc", "that is str"),
    ],
)
def test_what_cannot(mask, message):
    with pytest.raises(DataError, match=message):
        check_segmentations(table([[0, 0, 4, 0, 4, 4]], mask), source="coco")
