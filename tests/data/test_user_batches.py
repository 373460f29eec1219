import threading

import numpy as np
import pytest

from lpot_examples.data.batches import DataLoader
from lpot_examples.errors import DataError


class Numbers:
    """Seven samples, image full of the index, label the index."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return np.full((2, 2), index, np.float32), index


class Bare:
    """Samples without labels, without a length."""

    def __getitem__(self, index):
        if index > 4:
            raise IndexError(index)
        return np.full(3, index)


def labels(loader):
    return [batch[1].tolist() for batch in loader]


@pytest.mark.parametrize("workers", [0, 3])
def test_batches(workers):
    loader = DataLoader(Numbers(), 3, num_workers=workers)
    for _ in range(2):
        assert labels(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3
    assert next(iter(loader))[0].shape == (3, 2, 2)
    whole = DataLoader(Numbers(), 3, last_batch="discard", num_workers=workers)
    assert labels(whole) == [[0, 1, 2], [3, 4, 5]] and len(whole) == 2


def test_the_users_code_runs_in_one_thread_unless_allowed():
    seen = set()

    class Watched(Numbers):
        def __getitem__(self, index):
            seen.add(threading.get_ident())
            return super().__getitem__(index)

    list(DataLoader(Watched(), 3))
    assert seen == {threading.get_ident()}
    list(DataLoader(Watched(), 3, num_workers=2))
    assert len(seen) > 1


def test_samples_without_labels_or_length():
    found = list(DataLoader(Bare(), 2))
    assert [batch.shape for batch in found] == [(2, 3), (2, 3), (1, 3)]
    with pytest.raises(TypeError):
        len(DataLoader(Bare(), 2))


def test_several_inputs_and_names():
    class Several(Numbers):
        def __getitem__(self, index):
            return [np.zeros(2), np.ones((3, 3))], index

    inputs, found = next(iter(DataLoader(Several(), 2)))
    assert [one.shape for one in inputs] == [(2, 2), (2, 3, 3)] and found.tolist() == [0, 1]

    class Named(Numbers):
        def __getitem__(self, index):
            return {"a": np.zeros(2), "b": index}

    batch = next(iter(DataLoader(Named(), 2)))
    assert batch["a"].shape == (2, 2) and batch["b"].tolist() == [0, 1]


def test_sampler_batch_sampler_collate_and_shuffle():
    assert labels(DataLoader(Numbers(), 2, sampler=[6, 0, 3])) == [[6, 0], [3]]
    picked = DataLoader(Numbers(), 2, batch_sampler=[[1], [2, 3, 4]])
    assert labels(picked) == [[1], [2, 3, 4]] and len(picked) == 2
    sums = DataLoader(Numbers(), 4, collate_fn=lambda rows: sum(label for _, label in rows))
    assert list(sums) == [6, 15]
    shuffled = DataLoader(Numbers(), 7, shuffle=True)
    assert labels(shuffled) == labels(shuffled) != [list(range(7))]
    assert sorted(labels(shuffled)[0]) == list(range(7))


def test_tensorflows_data_sets():
    tf = pytest.importorskip("tensorflow")
    arrays = np.arange(12, dtype=np.float32).reshape(6, 2)
    dataset = tf.data.Dataset.from_tensor_slices((arrays, np.arange(6)))
    loader = DataLoader(dataset, 4)
    for _ in range(2):
        found = list(loader)
        assert np.array_equal(np.concatenate([inputs for inputs, _ in found]), arrays)
        assert found[1][1].tolist() == [4, 5] and found[1][1].dtype == np.int64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Numbers(), 0), "batch_size must be a whole number of at least 1; it is 0"),
        ((Numbers(), 2, None, "keep"), "last_batch must be one of rollover, discard; it is 'keep'"),
        ((3,), "__getitem__ and __len__, or __iter__; int has neither"),
        ((iter(range(3)),), "more than once; a range_iterator does so only once"),
        (({1, 2}, 1, None, "rollover", [0]), "sampler needs a data set with __getitem__"),
    ],
)
def test_unusable_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        DataLoader(*arguments)
