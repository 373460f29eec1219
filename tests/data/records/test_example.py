import subprocess
import sys

import numpy as np
import pytest

from lpot_examples.data.records.example import make_example, parse_example
from lpot_examples.errors import DataError

FEATURES = {
    "image/encoded": b"\x00\xff",
    "texts": ["cat", "é".encode()],
    "whole": [3, -4, 2**40],
    "numbers": [0.5, 1],
    "no boxes": np.zeros(0, dtype=np.float32),
    "no labels": np.zeros(0, dtype=np.int64),
    "no names": [],
}


def test_what_goes_in_comes_out():
    example = parse_example(make_example(FEATURES))
    assert list(example) == sorted(FEATURES)
    assert example["image/encoded"] == [b"\x00\xff"]
    assert example["texts"] == [b"cat", "é".encode()]
    assert example["whole"].tolist() == [3, -4, 2**40]
    assert example["numbers"].dtype == np.float32
    assert example["numbers"].tolist() == [0.5, 1.0]
    assert example["no boxes"].dtype == np.float32
    assert example["no labels"].dtype == np.int64
    assert example["no names"] == []


def test_tensorflow_reads_and_writes_the_same_bytes():
    from tensorflow.core.example.example_pb2 import Example

    data = make_example(FEATURES)
    theirs = Example.FromString(data)
    assert theirs.features.feature["no boxes"].WhichOneof("kind") == "float_list"
    assert theirs.SerializeToString(deterministic=True) == data


@pytest.mark.parametrize("size", [0, 127, 128, 4095, 4096, 16_383, 16_384, 3_000_000])
def test_byte_strings_of_every_size_are_written_as_tensorflow_does(size):
    from tensorflow.core.example.example_pb2 import Example

    features = {**FEATURES, "image/encoded": bytes(size), "z" * 200: b"x" * size}
    data = make_example(features)
    assert Example.FromString(data).SerializeToString(deterministic=True) == data
    assert parse_example(data)["image/encoded"] == [bytes(size)]


def test_the_order_of_features_does_not_matter():
    assert make_example(dict(reversed(FEATURES.items()))) == make_example(FEATURES)


def test_a_feature_without_a_type_is_empty():
    from tensorflow.core.example.example_pb2 import Example

    theirs = Example()
    theirs.features.feature["nothing"].SetInParent()
    assert parse_example(theirs.SerializeToString()) == {"nothing": []}


def test_bytes_that_are_no_example_are_refused_with_their_place():
    with pytest.raises(DataError, match=r"^a\.record: record 7 must be a serialized"):
        parse_example(b"\xff" * 20, place="a.record: record 7")


def test_mixed_types_are_refused():
    with pytest.raises(DataError, match="'mixed' must be .* it holds bytes, int"):
        make_example({"mixed": [b"a", 1]})


def test_it_does_not_load_tensorflow():
    code = (
        "import sys; from lpot_examples.data.records.example import *; "
        "parse_example(make_example({'a': 1})); print('tensorflow' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
