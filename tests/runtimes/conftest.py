import pytest


@pytest.fixture(scope="session")
def frozen(tmp_path_factory):
    """A frozen graph of two convolutions with two outputs, ``scores`` and ``first``."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], name="image")
        for index, (read, made) in enumerate(((3, 8), (8, 8))):
            weights = rng.normal(0, 0.2, (3, 3, read, made)).astype(np.float32)
            x = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"))
            if not index:
                tf.reduce_mean(x, axis=[1, 2], name="first")
        tf.reduce_mean(x, axis=[1, 2], name="scores")
    path = tmp_path_factory.mktemp("frozen") / "fp32.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.fixture(scope="session")
def eight_bits(tmp_path_factory):
    """A frozen graph with TensorFlow's int8 ops."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="image")
        codes, low, high = tf.quantization.quantize(x, 0.0, 1.0, tf.quint8)
        tf.identity(tf.quantization.dequantize(codes, low, high), name="scores")
    path = tmp_path_factory.mktemp("int8") / "int8.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path
