import threading

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data import images as module
from lpot_examples.data.images import ImageLoader, by_size
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

SIZES = [(8, 6), (8, 6), (6, 8), (8, 6), (6, 8), (6, 8), (6, 8)]


@pytest.fixture
def samples(tmp_path):
    """Seven flat images of two sizes, brightness 10 x index."""
    rows = []
    for index, size in enumerate(SIZES):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", size, (10 * index, 0, 255)).save(path)
        rows.append(Sample(path=path, label=index, size=size))
    return rows


@pytest.mark.parametrize("cache_bytes", [0, 3 * 144, 1 << 20])
def test_images_keep_their_size_and_order(samples, cache_bytes):
    loader = ImageLoader(samples, cache_bytes=cache_bytes)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == 7
        for index, (images, labels) in enumerate(batches):
            width, height = SIZES[index]
            assert images.shape == (1, height, width, 3) and images.dtype == np.uint8
            assert images[0, 0, 0].tolist() == [10 * index, 0, 255]
            assert labels.tolist() == [index] and labels.dtype == np.int64


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(2, [[0, 1], [2], [3], [4, 5], [6]]), (9, [[0, 1], [2], [3], [4, 5, 6]])],
)
@pytest.mark.parametrize("known", [True, False])
def test_only_neighbours_of_one_size_share_a_batch(samples, batch_size, expected, known):
    rows = [Sample(path=s.path, label=s.label, size=s.size if known else None) for s in samples]
    loader = ImageLoader(rows, batch_size)
    assert [labels.tolist() for _, labels in loader] == expected
    assert len(loader) == len(expected)


def test_images_of_one_size_can_be_brought_together(samples):
    loader = ImageLoader(by_size(samples), 9)
    assert [labels.tolist() for _, labels in loader] == [[2, 4, 5, 6], [0, 1, 3]]


@pytest.mark.parametrize(("cache_bytes", "decoded_again"), [(1 << 20, 0), (3 * 144, 4), (0, 7)])
def test_the_cache_keeps_what_fits(samples, monkeypatch, cache_bytes, decoded_again):
    loader = ImageLoader(samples, cache_bytes=cache_bytes)
    for batch, _ in loader:
        batch += 1  # the consumer's own array
    decoded = []
    decode = module.decode
    monkeypatch.setattr(module, "decode", lambda *args: decoded.append(args) or decode(*args))
    assert [images[0, 0, 0, 0] for images, _ in loader] == [0, 10, 20, 30, 40, 50, 60]
    assert len(decoded) == decoded_again


def test_an_abandoned_iteration_leaves_no_threads(samples):
    before = threading.active_count()
    for _ in range(5):
        iterator = iter(ImageLoader(samples, cache_bytes=0))
        next(iterator)
        iterator.close()
    assert threading.active_count() <= before + 2


def test_images_that_cannot_be_used(samples):
    with pytest.raises(DataError, match="batch_size must be at least 1; it is 0"):
        ImageLoader(samples, 0)
    with pytest.raises(DataError, match="holds none"):
        ImageLoader([])
    wrong = Sample(path=samples[1].path, size=(80, 60))
    with pytest.raises(DataError, match="1.png must be 80x60 pixels.*it is 8x6"):
        list(ImageLoader([samples[0], wrong]))
    samples[2].path.write_bytes(samples[2].path.read_bytes()[:40])
    with pytest.raises(DataError, match="2.png"):
        list(ImageLoader(samples))
    samples[2].path.unlink()
    with pytest.raises(DataError, match="2.png does not exist"):
        list(ImageLoader(samples))
