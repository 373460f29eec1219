"""Calibration batches on disk."""

import numpy as np
import pytest

from lpot_examples.backends.neural_compressor.batches import BatchStore, read_batches
from lpot_examples.errors import OutputError


def stored(folder, sizes=(4, 4, 2)):
    store = BatchStore(folder / "batches")
    start = 0
    for size in sizes:
        images = np.arange(start, start + size, dtype=np.float32)[:, None]
        store.add({"scope/image": images, "switch": np.array(True)})
        start += size
    return store


@pytest.mark.parametrize("limit", [1, 4, 6, 10, 50])
def test_the_first_samples_come_back(tmp_path, limit):
    store = stored(tmp_path)
    assert store.samples == 10
    batches = list(read_batches(store.folder, limit))
    images = np.concatenate([batch["scope/image"] for batch in batches])
    assert images[:, 0].tolist() == list(range(min(limit, 10)))
    assert all(batch["switch"].shape == () for batch in batches)


def test_clear_removes_everything(tmp_path):
    store = stored(tmp_path)
    store.clear()
    assert store.samples == 0
    assert not store.folder.exists()
    store.add({"x": np.ones(3)})
    assert [batch["x"].tolist() for batch in read_batches(store.folder, 9)] == [[1.0, 1.0, 1.0]]


def test_a_damaged_file_is_named(tmp_path):
    store = stored(tmp_path)
    (store.folder / "000001.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(OutputError, match="000001.npz is damaged"):
        list(read_batches(store.folder, 10))


def test_no_place_to_write(tmp_path):
    (tmp_path / "batches").write_text("a file")
    with pytest.raises(OutputError, match="cannot keep calibration data"):
        stored(tmp_path)
