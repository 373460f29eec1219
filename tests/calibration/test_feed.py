"""Whatever a user's dataloader does wrong ends in one clear sentence."""

import re

import numpy as np
import pytest

from lpot_examples.calibration.feed import batches
from lpot_examples.errors import DataError

IMAGE = {"image": ((None, 4, 4, 3), np.dtype(np.float32))}
TWO = {**IMAGE, "size": ((None, 2), np.dtype(np.int32))}
GOOD = np.zeros((2, 4, 4, 3), np.float32)
SIZES = np.zeros((2, 2), np.int32)


def raising():
    yield GOOD
    raise KeyError("no such photograph")


BAD = {
    "empty": ([], IMAGE, "yielded nothing"),
    "not iterable": (42, IMAGE, "must be iterable"),
    "none": (None, IMAGE, "must be iterable"),
    "raises": (raising(), IMAGE, "raised KeyError at batch 1: 'no such photograph'"),
    "wrong size": ([np.zeros((2, 5, 4, 3), np.float32)], IMAGE, r"\[2, 5, 4, 3\]"),
    "no batch": ([GOOD[0]], IMAGE, r"\[4, 4, 3\]; the model's input 'image' takes float32"),
    "wrong dtype": ([GOOD.astype(np.uint8)], IMAGE, r"\.astype\('float32'\)"),
    "text": ([np.array(["a", "b"])], IMAGE, "takes float32"),
    "none as batch": ([None], IMAGE, "takes float32"),
    "ragged": ([[np.zeros((4, 4, 3)), np.zeros((5, 4, 3)), np.zeros(2)]], IMAGE, "3 parts"),
    "empty batch": ([GOOD[:0]], IMAGE, "holds no samples"),
    "too many parts": ([(GOOD, GOOD, GOOD)], IMAGE, "3 parts"),
    "too few inputs": ([(GOOD,)], TWO, "image"),
    "wrong names": ([{"picture": GOOD}], IMAGE, "picture; the model takes image"),
    "missing name": ([{"image": GOOD}], TWO, "the model takes image, size"),
    "second input": ([({"image": GOOD, "size": GOOD}, 1)], TWO, "'size' takes int32"),
    "batches differ": ([{"image": GOOD, "size": SIZES[:1]}], TWO, "2 of 'image', 1 of 'size'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_one_clear_sentence(name):
    loader, spec, wanted = BAD[name]
    with pytest.raises(DataError, match=wanted) as caught:
        list(batches(loader, spec, limit=100))
    message = str(caught.value)
    assert "\n" not in message
    assert len(re.findall(r"[.!?](?:\s|$)", message)) <= 2


GOOD_FORMS = {
    "inputs": (GOOD, IMAGE),
    "inputs and label": ((GOOD, np.zeros(2)), IMAGE),
    "list of inputs and label": (([GOOD], np.zeros(2)), IMAGE),
    "one in a tuple": ((GOOD,), IMAGE),
    "names": ({"image": GOOD}, IMAGE),
    "names with port": ({"image:0": GOOD}, IMAGE),
    "names and label": (({"image": GOOD, "size": SIZES}, 1), TWO),
    "two inputs": ((GOOD, SIZES), TWO),
    "two inputs and label": (((GOOD, SIZES), np.zeros(2)), TWO),
    "wider dtype": (GOOD.astype(np.float64), IMAGE),
}


@pytest.mark.parametrize("name", GOOD_FORMS)
def test_every_documented_form_is_taken(name):
    item, spec = GOOD_FORMS[name]
    (arrays,) = batches([item], spec, limit=100)
    assert set(arrays) == set(spec)
    assert all(arrays[key].dtype == spec[key][1] for key in spec)


def test_the_last_batch_is_cut_and_nothing_is_read_beyond():
    def endless():
        for index in range(3):
            yield GOOD + index
        pytest.fail("read beyond the limit")

    assert [len(b["image"]) for b in batches(endless(), IMAGE, limit=5)] == [2, 2, 1]


def test_switches_and_shared_tables_stay_whole():
    spec = {
        "training": ((), np.dtype(np.bool_)),
        "image": IMAGE["image"],
        "anchors": ((7, 4), np.dtype(np.float32)),
    }
    item = {"training": np.bool_(False), "image": GOOD, "anchors": np.zeros((7, 4), np.float32)}
    first, second = batches([item, item], spec, limit=3)
    assert len(first["image"]) == 2
    assert len(second["image"]) == 1
    assert second["anchors"].shape == (7, 4)
    assert second["training"].shape == ()


def test_images_with_channels_last_for_a_network_that_takes_them_first():
    spec = {"x": ((None, 3, 4, 6), np.dtype(np.float32))}
    image = np.random.default_rng(0).random((2, 4, 6, 3), np.float32)
    for given in (image, np.moveaxis(image, -1, 1)):
        (found,) = batches([given], spec, limit=2)
        np.testing.assert_array_equal(found["x"], np.moveaxis(image, -1, 1))
    with pytest.raises(DataError, match=r"\[2, 6, 3, 4\]"):
        list(batches([np.moveaxis(image, 1, -1)], spec, limit=2))
