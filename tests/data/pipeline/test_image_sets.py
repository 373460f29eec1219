import numpy as np
import pytest
from PIL import Image

from lpot_examples.errors import DataError, SpecError


@pytest.fixture
def photographs(tmp_path, pixels):
    """Folders ``animals/cat`` and ``animals/dog`` with images of two sizes, and a list of them."""
    lines = []
    for index, name in enumerate(("cat", "dog")):
        folder = tmp_path / "animals" / name
        folder.mkdir(parents=True)
        for seed in range(2):
            Image.fromarray(pixels(seed, 20 + 2 * index)).save(folder / f"{seed}.png")
            lines.append(f"{name}/{seed}.png {10 + index}")
    (tmp_path / "animals" / "val.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "animals"


def test_image_folder(load, photographs, pixels):
    loader = load({"dataset": {"ImageFolder": {"root": "animals"}}})
    batches = list(loader)
    assert [labels.item() for _, labels in batches] == [0, 0, 1, 1]
    assert np.array_equal(batches[1][0][0], pixels(1))
    assert batches[2][0].shape == (1, 22, 30, 3)


def test_grey_photographs_are_colour(load, photographs):
    Image.new("L", (8, 8), 7).save(photographs / "cat" / "9.png")
    images = [image for image, _ in load({"dataset": {"ImageFolder": {"root": "animals"}}})]
    assert images[2].shape == (1, 8, 8, 3)


def test_an_empty_folder(load, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="must hold a folder of images for each class"):
        load({"dataset": {"ImageFolder": {"root": "empty"}}})


@pytest.mark.parametrize(
    "given", [{}, {"image_list": "val.txt"}, {"image_list": "animals/val.txt"}]
)
def test_imagenet_raw(load, photographs, given):
    loader = load({"dataset": {"ImagenetRaw": {"data_path": "animals", **given}}})
    assert [labels.item() for _, labels in loader] == [10, 10, 11, 11]


def test_imagenet_raw_says_what_is_missing(load, photographs):
    section = {"dataset": {"ImagenetRaw": {"data_path": "animals"}}}
    (photographs / "val.txt").rename(photographs / "other.txt")
    with pytest.raises(DataError, match=r"val.txt, val_map.txt or labels.txt.*image_list"):
        load(section)
    (photographs / "labels.txt").write_text("cat/0.png 3\ncat/8.png 3\n")
    with pytest.raises(DataError, match=r"labels.txt:2: the image .*8.png does not exist"):
        load(section)


def test_style_transfer(load, tmp_path, pixels):
    for folder, count in (("content", 2), ("style", 3)):
        (tmp_path / folder).mkdir()
        for seed in range(count):
            Image.fromarray(pixels(seed)).save(tmp_path / folder / f"{seed}.jpg")
    arguments = {"content_folder": "content", "style_folder": "style", "resize_shape": [16, 8]}
    loader = load({"dataset": {"style_transfer": arguments}, "batch_size": 2})
    batches = list(loader)
    assert len(batches) == 3 and loader.sample_count == 6
    inputs, labels = batches[0]
    assert [one.shape for one in inputs] == [(2, 8, 16, 3)] * 2 and labels.tolist() == [0, 0]
    assert inputs[0].dtype == np.float32 and inputs[0].min() >= 0 and inputs[0].max() <= 1
    assert np.array_equal(inputs[0][0], inputs[0][1])  # one content image, two styles
    arguments["image_format"] = "png"
    with pytest.raises(DataError, match=r"content_folder must hold images named \*png"):
        load({"dataset": {"style_transfer": arguments}})
    with pytest.raises(SpecError, match=r"style_folder is required, such as data/style\."):
        load({"dataset": {"style_transfer": {"content_folder": "content"}}})
    with pytest.raises(DataError, match=r"Resize is for one image; this data set gives 2"):
        section = {"dataset": {"style_transfer": {**arguments, "image_format": "jpg"}}}
        list(load({**section, "transform": {"Resize": {"size": 4}}}))
