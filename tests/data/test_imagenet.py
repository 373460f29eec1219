import pytest
from PIL import Image

from lpot_examples.data.imagenet import imagenet_calibration, imagenet_images
from lpot_examples.errors import DataError


@pytest.fixture
def root(tmp_path):
    for index in range(12):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{index}.jpg")
    lines = [f"{index}.jpg {index * 3} some name" for index in range(12)]
    (tmp_path / "labels.txt").write_text("# a comment\n\n" + "\n".join(lines))
    return tmp_path


def names(samples):
    return [sample.path.name for sample in samples]


def test_labels_in_the_order_of_the_file(root):
    samples = imagenet_images(root, topology="t")
    assert [sample.label for sample in samples] == [3 * index for index in range(12)]
    assert names(imagenet_images(root, topology="t", limit=2)) == ["0.jpg", "1.jpg"]


def test_where_calibration_images_come_from(root):
    assert names(imagenet_calibration(root, topology="t")) == ["0.jpg", "5.jpg", "10.jpg"]
    for folder, name in (("train", "b.jpg"), ("calibration", "a.jpg")):
        (root / folder).mkdir()
        Image.new("RGB", (4, 4)).save(root / folder / name)
        assert names(imagenet_calibration(root, topology="t")) == [name]
    (root / "calibration.txt").write_text("3.jpg\n1.jpg 3\n")
    samples = imagenet_calibration(root, topology="t")
    assert names(samples) == ["3.jpg", "1.jpg"]
    assert [sample.label for sample in samples] == [-1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.jpg 1\n1.jpg", r"labels.txt:2: a line must be .*'1.jpg'"),
        ("0.jpg cat", "labels.txt:1: a line must be"),
        ("0.jpg -1", "labels.txt:1: a line must be"),
        ("0.jpg 1000", r"labels.txt:1: .*0-999; it is 1000"),
        ("0.jpg 1\n\nx.jpg 1", r"labels.txt:3: the image .*x.jpg does not exist"),
        ("0.jpg 1\n0.jpg 2", "labels.txt:2: 0.jpg is already on line 1"),
        ("\n", "at least one image"),
    ],
)
def test_lines_that_cannot_be_used(root, text, message):
    (root / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        imagenet_images(root, topology="t")


def test_a_file_that_is_not_text(root):
    (root / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        imagenet_images(root, topology="t")


def test_what_is_missing_and_how_to_get_it(root, tmp_path):
    (root / "labels.txt").unlink()
    for location in (None, root / "nowhere", root):
        for opened in (imagenet_images, imagenet_calibration):
            with pytest.raises(
                DataError, match="labels.txt.*image-net.org.*run_tuning.sh --topology=net"
            ):
                opened(location, topology="net")
