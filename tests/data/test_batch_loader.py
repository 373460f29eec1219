import threading

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.loader import BatchLoader, Sample
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError

TRANSFORM = ImageTransform(height=4, width=4)


@pytest.fixture
def samples(tmp_path):
    """Seven flat images, brightness 10 x index."""
    rows = []
    for index in range(7):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (8, 8), (10 * index,) * 3).save(path)
        rows.append(Sample(path=path, label=index))
    return rows


@pytest.mark.parametrize("cache_bytes", [0, 3 * 48, 1 << 20])
def test_batches_are_in_order_and_repeat(samples, cache_bytes):
    loader = BatchLoader(samples, TRANSFORM, 3, cache_bytes=cache_bytes)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == 3
        assert [labels.tolist() for _, labels in batches] == [[0, 1, 2], [3, 4, 5], [6]]
        values = np.concatenate([inputs for inputs, _ in batches])
        assert values.dtype == np.float32 and values.shape == (7, 4, 4, 3)
        assert values[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(("cache_bytes", "decoded_again"), [(1 << 20, 0), (3 * 48, 4), (0, 7)])
def test_the_cache_keeps_what_fits(samples, monkeypatch, cache_bytes, decoded_again):
    loader = BatchLoader(samples, TRANSFORM, 2, cache_bytes=cache_bytes)
    list(loader)
    loads = []
    load = ImageTransform.load
    monkeypatch.setattr(
        ImageTransform, "load", lambda self, *args: loads.append(args) or load(self, *args)
    )
    list(loader)
    assert len(loads) == decoded_again


def test_writing_into_a_batch_does_not_change_the_next_pass(samples):
    loader = BatchLoader(samples, TRANSFORM, 7)
    for inputs, _ in loader:
        inputs += 1000
    assert next(iter(loader))[0].max() == 60


def test_an_abandoned_iteration_leaves_no_threads(samples):
    before = threading.active_count()
    for _ in range(5):
        iterator = iter(BatchLoader(samples, TRANSFORM, 1, cache_bytes=0))
        next(iterator)
        iterator.close()
    assert threading.active_count() == before


def test_an_image_that_broke_is_named(samples):
    samples[4].path.write_bytes(b"")
    with pytest.raises(DataError, match=r"4\.png"):
        list(BatchLoader(samples, TRANSFORM, 2))


def test_unusable_arguments(samples):
    with pytest.raises(DataError, match="at least 1; it is 0"):
        BatchLoader(samples, TRANSFORM, 0)
    with pytest.raises(DataError, match="at least one image"):
        BatchLoader([], TRANSFORM, 1)


@pytest.mark.parametrize("cache_bytes", [0, 3 * 48, 1 << 20])
def test_any_order(samples, cache_bytes):
    loader = BatchLoader(samples, TRANSFORM, 3, cache_bytes=cache_bytes)
    for order in ([6, 0, 3, 2], [1, 2, 3, 4, 5, 6, 0]):
        batches = list(loader.ordered(np.array(order)))
        assert np.concatenate([labels for _, labels in batches]).tolist() == order
        values = np.concatenate([inputs for inputs, _ in batches])[:, 0, 0, 0]
        assert values.tolist() == [10 * index for index in order]
