"""Small networks in the forms in which TF1 and TF2 keep them, and the outputs of the originals."""

from contextlib import contextmanager

import numpy as np

from lpot_examples.backends.tensorflow.runtime import import_tensorflow

SIZE = 8
CLASSES = 5


def images(count=4, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, SIZE, SIZE, 3)).astype(np.float32)


@contextmanager
def tf1():
    """Yield TensorFlow inside a new TF1 graph with TF1's control flow."""
    tf = import_tensorflow()
    before = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default():
            tf.compat.v1.set_random_seed(3)
            yield tf
    finally:
        if before:
            tf.compat.v1.enable_control_flow_v2()


def plain_session(tf, graph=None):
    """A session that runs a graph as it is written, so that equal graphs give equal bits."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.compat.v1.Session(graph=graph, config=config)


def run(model, feed):
    """Outputs of a TensorFlowModel, without optimizers."""
    tf = import_tensorflow()
    names = [name if ":" in name else f"{name}:0" for name in model.output_names]
    feeds = {f"{name}:0": feed[name] for name in model.input_names}
    with plain_session(tf, model.graph) as session:
        return session.run(names, feeds)


def variable(tf, name, shape, kind="normal", *, resource=False, **kwargs):
    initial = {
        "normal": tf.compat.v1.random_normal_initializer(stddev=0.4),
        "positive": tf.compat.v1.random_uniform_initializer(0.5, 1.5),
    }[kind]
    return tf.compat.v1.get_variable(
        name, shape, initializer=initial, use_resource=resource, **kwargs
    )


def moving(tf, name, value, *, resource):
    """A moving statistic that a training step updates, as slim's batch_norm makes it."""
    kind = "positive" if "variance" in name else "normal"
    average = variable(tf, name, [int(value.shape[-1])], kind, resource=resource, trainable=False)
    delta = (average - value) * 0.1
    tf.compat.v1.add_to_collection("update", tf.compat.v1.assign_sub(average, delta))
    return average


def batch_norm(tf, x, scope, *, training, fused=True, resource=False):
    channels = int(x.shape[-1])
    with tf.compat.v1.variable_scope(scope):
        gamma = variable(tf, "gamma", [channels], "positive", resource=resource)
        beta = variable(tf, "beta", [channels], resource=resource)
        if training and fused:
            y, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, is_training=True)
            moving(tf, "moving_mean", mean, resource=resource)
            moving(tf, "moving_variance", variance, resource=resource)
            return y
        if training:
            mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
            moving(tf, "moving_mean", mean, resource=resource)
            moving(tf, "moving_variance", variance, resource=resource)
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
        options = {"resource": resource, "trainable": False}
        mean = variable(tf, "moving_mean", [channels], **options)
        variance = variable(tf, "moving_variance", [channels], "positive", **options)
        if fused:
            return tf.compat.v1.nn.fused_batch_norm(
                x, gamma, beta, mean=mean, variance=variance, is_training=False
            )[0]
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def network(tf, x, *, training, resource=False, keep=None):
    """Convolution, both kinds of batch-norm, dropout, and a dense layer: [n, CLASSES]."""
    weights = variable(tf, "conv/weights", [3, 3, 3, 8], resource=resource)
    x = tf.nn.conv2d(x, weights, 1, "SAME")
    x = tf.nn.relu(batch_norm(tf, x, "bn1", training=training, resource=resource))
    x = batch_norm(tf, x, "bn2", training=training, fused=False, resource=resource)
    x = tf.reduce_mean(x, [1, 2])
    if keep is not None:
        x = dropped_out(tf, x, keep)
    dense = variable(tf, "dense/weights", [8, CLASSES], resource=resource)
    bias = variable(tf, "dense/biases", [CLASSES], resource=resource)
    return tf.nn.bias_add(tf.matmul(x, dense), bias, name="logits")


def dropped_out(tf, x, keep):
    """Dropout as TF 1.0 to 1.12 wrote it."""
    with tf.name_scope("dropout"):
        mask = tf.floor(keep + tf.random.uniform(tf.shape(x)))
        return tf.divide(x, keep) * mask


def train_ops(tf, logits, labels):
    """Loss, metrics, summaries and an optimizer with slots."""
    loss = tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)
    correct = tf.equal(tf.argmax(logits, 1), labels)
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32), name="accuracy")
    tf.compat.v1.summary.scalar("accuracy", accuracy)
    tf.compat.v1.summary.histogram("logits", logits)
    updates = tf.compat.v1.get_collection("update")
    step = tf.compat.v1.train.get_or_create_global_step()
    with tf.control_dependencies(updates):
        return tf.compat.v1.train.MomentumOptimizer(0.01, 0.9).minimize(loss, step)


def write_training_checkpoint(prefix, *, resource=False, data="placeholder", extra=None):
    """Save a training graph and its variables; return the inference outputs of `images`."""
    with tf1() as tf:
        if data == "placeholder":
            x = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], "images")
            labels = tf.compat.v1.placeholder(tf.int64, [None], "labels")
            feed = {x: images(), labels: [0, 1, 2, 3]}
        else:
            pairs = (images(), np.arange(4))
            dataset = tf.data.Dataset.from_tensor_slices(pairs).repeat().batch(4)
            x, labels = tf.compat.v1.data.make_one_shot_iterator(dataset).get_next()
            x.set_shape([None, SIZE, SIZE, 3])
            feed = {}
        keep = tf.compat.v1.placeholder(tf.float32, [], "keep_prob")
        logits = network(tf, x, training=True, resource=resource, keep=keep)
        step = train_ops(tf, logits, labels)
        if extra is not None:
            extra(tf, logits)
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            session.run(step, {**feed, keep: 0.8})
            tf.compat.v1.train.Saver().save(session, str(prefix))
    return reference(prefix, resource=resource)


def reference(prefix, *, resource=False):
    """Outputs of `images`, of the inference network with the variables of a checkpoint."""
    with tf1() as tf:
        x = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3])
        logits = network(tf, x, training=False, resource=resource)
        with plain_session(tf) as session:
            tf.compat.v1.train.Saver().restore(session, str(prefix))
            return session.run(logits, {x: images()})
