"""Every value of --target_isa gives a model that is exact there, and the report says where else."""

import numpy as np
import pytest
from graphs import build, data, placeholder

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.errors import LpotError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.quantization import _instruction_set

FEED = {"x": data(4, 8, 8, 4, low=0.0)}
SATURATING = {"sse4", "avx", "avx2", "avx512"}


def network(tf, constant):
    """One group of each kind: wide weights, weights apart, a depthwise one, signed, a product."""
    x = placeholder(tf, 8, 8, 4)
    wide = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME", name="wide"))
    apart = np.zeros((1, 1, 8, 4), np.float32)
    apart[:, :, ::2] = 1.0
    y = tf.nn.relu(tf.nn.conv2d(wide, apart, 1, "SAME", name="apart"))
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=y, filter=constant(3, 3, 4, 1), strides=[1] * 4, padding="SAME", name="depth"
    )
    y = tf.nn.conv2d(y, constant(3, 3, 4, 4), 1, "SAME", name="signed")
    tf.matmul(tf.reshape(tf.nn.relu(y), [-1, 256]), np.ones((256, 3), np.float32), name="o")


@pytest.fixture(scope="module")
def graph_def():
    return build(network)


def backend(graph_def, isa):
    model = TensorFlowModel(graph_def, inputs=("x",), outputs=("o",))
    return TensorFlowBackend(model, _instruction_set(isa))


@pytest.fixture(scope="module")
def statistics(graph_def):
    return backend(graph_def, "avx2").calibrate([FEED], sizes=[4])[4]


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_each_target_is_exact_on_itself(graph_def, statistics, isa):
    made = backend(graph_def, isa)
    found = made.exactness(TuningConfig(), statistics)
    assert list(found) == list(INSTRUCTION_SETS)
    assert found[isa] == []
    if isa in SATURATING:
        assert not any(found.values())
    else:
        assert {name for name, groups in found.items() if groups} == SATURATING
        assert {"wide", "o"} <= set(found["avx2"])
        assert not {"apart", "depth"} & set(found["avx2"])
    # Groups that stay in fp32 cannot saturate.
    kept = TuningConfig(fp32=frozenset(found["avx2"]))
    assert not any(made.exactness(kept, statistics).values())
    output = made.emit(TuningConfig(), statistics)(FEED["x"])
    assert np.isfinite(output).all()


def test_a_target_that_is_none_is_refused():
    with pytest.raises(LpotError, match="--target_isa must be one of"):
        _instruction_set("avx3")
