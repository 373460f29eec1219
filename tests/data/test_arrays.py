import numpy as np
import pytest

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.errors import DataError


def test_batches_come_in_order_and_start_again():
    inputs, labels = np.arange(14, dtype=np.float32).reshape(7, 2), np.arange(7)
    batches = ArrayBatches(inputs, labels, batch_size=3)
    for _ in range(2):
        parts = list(batches)
        assert len(parts) == len(batches) == 3
        assert np.array_equal(np.concatenate([part for part, _ in parts]), inputs)
        assert [label.tolist() for _, label in parts] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    ("inputs", "labels", "size", "message"),
    [(3, 3, 0, "batch_size must"), (3, 2, 1, "3 inputs and 2 labels"), (0, 0, 1, "0 inputs")],
)
def test_what_does_not_fit_is_an_error(inputs, labels, size, message):
    with pytest.raises(DataError, match=message):
        ArrayBatches(np.zeros((inputs, 2), np.float32), np.zeros(labels, np.int64), batch_size=size)


def test_any_order():
    batches = ArrayBatches(np.arange(5, dtype=np.float32)[:, None], np.arange(5), batch_size=2)
    found = [labels.tolist() for _, labels in batches.ordered(np.array([4, 0, 3, 1, 2]))]
    assert found == [[4, 0], [3, 1], [2]]
