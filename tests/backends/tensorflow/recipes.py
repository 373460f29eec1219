"""Every form in which the compiler may emit an int8 kernel, as small networks by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Kinds of encoding: unsigned, unsigned with a zero point, signed.
U8, ASYMMETRIC, S8 = "u8", "asymmetric", "s8"
# Input ranges that give each kind in front of any reader that allows it.
RANGES = {U8: (0.0, 2.0), ASYMMETRIC: (-1.4, 1.0), S8: (-1.4, 1.4)}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network of one or two ops; ``build(net, x)`` returns what is judged.

    ``reads`` and ``makes`` are the kinds of encoding that the planner must choose, so that a recipe
    cannot silently test something else; ``makes`` is None where the kernel gives real values.
    ``source`` names the tensor that is judged for ``reads``.
    """

    build: Callable[[Any, Any], Any]
    reads: str
    makes: str | None
    shape: tuple[int, ...] = (9, 9, 8)
    low: float = 0.0
    high: float = 2.0
    negatives: float = 0.0
    source: str = "x"

    def data(self, rng, samples):
        """Return an input; a share of ``negatives`` is as far below zero as the rest is above."""
        values = rng.uniform(self.low, self.high, (samples, *self.shape))
        values[rng.random(values.shape) < self.negatives] = -self.high
        return values.astype(np.float32)


@dataclass
class Net:
    """Builds layers with random weights inside one recipe's name scope."""

    tf: Any
    rng: np.random.Generator

    def constant(self, *shape, deviation=1.0):
        return self.tf.constant(self.rng.normal(0, deviation, shape).astype(np.float32))

    def conv(self, x, outputs=8, kernel=3, padding="SAME", stride=1, dilation=1, bias=True):
        inputs = int(x.shape[3])
        weights = self.constant(kernel, kernel, inputs, outputs, deviation=kernel**-1 * 0.4)
        made = self.tf.nn.conv2d(x, weights, stride, padding, dilations=dilation)
        return self.tf.nn.bias_add(made, self.constant(outputs, deviation=0.2)) if bias else made

    def depthwise(self, x, kernel=3, padding="SAME", stride=1, multiplier=1, bias=True):
        channels = int(x.shape[3])
        weights = self.constant(kernel, kernel, channels, multiplier, deviation=0.4)
        strides = [1, stride, stride, 1]
        made = self.tf.nn.depthwise_conv2d(x, weights, strides, padding)
        return self.tf.nn.bias_add(made, self.constant(channels * multiplier)) if bias else made

    def dense(self, x, outputs=12, bias=True, transpose_b=False):
        features = int(x.shape[-1])
        shape = (outputs, features) if transpose_b else (features, outputs)
        weights = self.constant(*shape, deviation=features**-0.5)
        made = self.tf.matmul(x, weights, transpose_b=transpose_b)
        return made + self.constant(outputs, deviation=0.3) if bias else made

    def keep_int8(self, x, kind):
        """Let a further convolution read a tensor, so that it is carried in a kind of encoding."""
        self.tf.identity(self.conv(x, kernel=3 if kind == S8 else 1), name="reader")
        return x


RECIPES: dict[str, Recipe] = {}


def _add(name, build, reads=U8, makes=U8, **options):
    low, high = RANGES[reads]
    RECIPES[name] = Recipe(
        build=build, reads=reads, makes=makes, **{"low": low, "high": high, **options}
    )


def _relu(layer):
    return lambda net, x: net.tf.nn.relu(layer(net, x))


def _relu6(layer):
    return lambda net, x: net.tf.nn.relu6(layer(net, x) * 4.0)


def _kept(layer, kind):
    return lambda net, x: net.keep_int8(layer(net, x), kind)


def _convolutions():
    plain = Net.conv
    for reads, kernel in ((U8, 3), (S8, 3), (ASYMMETRIC, 1)):

        def layer(net, x, kernel=kernel):
            return net.conv(x, kernel=kernel)

        _add(f"conv_{reads}_relu", _relu(layer), reads)
        _add(f"conv_{reads}_relu6", _relu6(layer), reads)
        _add(f"conv_{reads}_linear", layer, reads, ASYMMETRIC)
        _add(f"conv_{reads}_to_s8", _kept(layer, S8), reads, S8)
    for channels in (8, 3):
        shape = (9, 9, channels)
        lopsided = {"low": -0.4, "high": 2.0, "shape": shape}
        _add(f"conv_zero_point_padded_{channels}", _relu(plain), ASYMMETRIC, **lopsided)
        pads = [[0, 0], [2, 1], [0, 3], [0, 0]]
        _add(
            f"conv_zero_point_explicit_{channels}",
            lambda net, x, pads=pads: net.conv(x, padding=pads),
            ASYMMETRIC,
            ASYMMETRIC,
            **lopsided,
        )
        _add(
            f"depthwise_zero_point_padded_{channels}",
            _relu(Net.depthwise),
            ASYMMETRIC,
            **lopsided,
        )
    forms = {
        "valid": {"padding": "VALID"},
        "stride2_same": {"stride": 2},
        "stride2_valid": {"stride": 2, "padding": "VALID"},
        "stride2_even": {"stride": 2, "kernel": 2},
        "explicit": {"padding": [[0, 0], [1, 2], [0, 1], [0, 0]]},
        "dilated": {"dilation": 2},
        "dilated_valid": {"dilation": 2, "padding": "VALID"},
        "pointwise": {"kernel": 1},
        "pointwise_stride2": {"kernel": 1, "stride": 2},
        "no_bias": {"bias": False},
        "kernel5": {"kernel": 5},
        "one_output": {"outputs": 1},
        "wide": {"outputs": 70},
    }
    for name, options in forms.items():
        for reads in (U8, S8):
            if reads == S8 and (name in ("valid", "stride2_valid", "dilated_valid")):
                continue
            if reads == S8 and name.startswith("pointwise"):
                continue

            def layer(net, x, options=options):
                return net.conv(x, **options)

            _add(f"conv_{reads}_{name}", _relu(layer), reads)
    _add("conv_u8_one_input", _relu(plain), shape=(9, 9, 1))
    _add("conv_padded_by_pad", _relu(_behind_pad(Net.conv)))
    _add("conv_s8_padded_by_pad", _relu(_behind_pad(Net.conv)), S8)


def _behind_pad(layer):
    def build(net, x):
        return layer(net, net.tf.pad(x, [[0, 0], [1, 0], [2, 1], [0, 0]]), padding="VALID")

    return build


def _odd_weights(change):
    def build(net, x):
        weights = net.rng.normal(0, 0.2, (1, 1, int(x.shape[3]), 8)).astype(np.float32)
        bias = net.rng.normal(0, 0.3, 8).astype(np.float32)
        change(weights, bias)
        made = net.tf.nn.conv2d(x, weights, 1, "SAME")
        return net.tf.nn.bias_add(made, bias)

    return build


def _weights():
    def dead(weights, bias):
        weights[..., 2], bias[2] = 0.0, 0.7

    def tiny(weights, bias):
        weights[..., 1] *= 1e-9
        weights[..., 4] *= 1e-6
        bias[1], bias[4] = 0.5, -0.25

    def outlier(weights, bias):
        weights[0, 0, 0, 3] = 4.0

    for name, change in (("dead", dead), ("tiny", tiny), ("outlier", outlier)):
        for reads in (U8, ASYMMETRIC):
            layer = _odd_weights(change)
            _add(f"conv_{reads}_{name}_relu", _relu(layer), reads)
            _add(f"conv_{reads}_{name}_linear", layer, reads, ASYMMETRIC)
            if name == "dead":
                _add(f"conv_{reads}_{name}_to_s8", _kept(layer, S8), reads, S8)

    def unbiased(net, x):
        weights = net.rng.normal(0, 0.2, (1, 1, int(x.shape[3]), 8)).astype(np.float32)
        weights[..., 2], weights[..., 3] = 0.0, 1e-9
        return net.tf.nn.conv2d(x, weights, 1, "SAME")

    _add("conv_dead_unbiased_linear", unbiased, ASYMMETRIC, ASYMMETRIC)

    def dense(net, x):
        weights = net.rng.normal(0, 0.2, (20, 12)).astype(np.float32)
        weights[:, 3], weights[:, 4] = 0.0, 1e-9
        return net.tf.matmul(x, weights) + net.constant(12)

    _add("dense_dead", dense, makes=None, shape=(20,))
    _add("dense_asymmetric_dead", dense, ASYMMETRIC, None, shape=(20,))


def _saturating():
    """All pairs of products as large as they get: 255·127 twice overflows 16 bits."""

    def extreme(net, shape, axis=-1):
        signs = np.ones(shape)
        np.moveaxis(signs, axis, -1)[..., ::2] *= -1.0
        signs[net.rng.random(shape) < 0.1] *= 0.5
        return (signs * 0.1).astype(np.float32)

    def conv(kernel):
        def build(net, x):
            weights = extreme(net, (kernel, kernel, int(x.shape[3]), 32))
            return net.tf.nn.conv2d(x, weights, 1, "VALID")

        return build

    def depthwise(net, x):
        return net.tf.nn.depthwise_conv2d(
            x, extreme(net, (3, 3, int(x.shape[3]), 1), axis=2), [1] * 4, "VALID"
        )

    def dense(net, x):
        return net.tf.matmul(x, extreme(net, (int(x.shape[1]), 64)))

    def multiplied(net, x):
        weights = extreme(net, (3, 3, int(x.shape[3]), 2))
        return net.tf.nn.depthwise_conv2d(x, weights, [1] * 4, "VALID")

    def padded(net, x):
        return net.tf.nn.conv2d(x, extreme(net, (3, 3, int(x.shape[3]), 32)), 1, "SAME")

    def padded_depthwise(net, x):
        weights = extreme(net, (3, 3, int(x.shape[3]), 1), axis=2)
        return net.tf.nn.depthwise_conv2d(x, weights, [1] * 4, "SAME")

    def signed_dense(net, x):
        same = net.tf.nn.conv2d(x, np.eye(4, dtype=np.float32)[None, None], 1, "SAME")
        net.tf.identity(net.conv(same), name="reader")
        return dense(net, net.tf.reshape(same, [-1, 256], name="flat"))

    def sparse(kernel):
        """Large weights side by side never, but at every other distance."""

        def build(net, x):
            inputs = int(x.shape[3])
            large = net.rng.random((kernel * kernel * inputs, 32)) < 0.4
            for tap in range(1, len(large)):
                large[tap] &= ~large[tap - 1]
            weights = np.where(large, 0.1, 0.0002).astype(np.float32)
            return net.tf.nn.conv2d(x, weights.reshape(kernel, kernel, inputs, 32), 1, "VALID")

        return build

    bright = {"low": 1.7, "high": 2.0}
    for channels in (1, 3, 8, 20):
        shape = {"shape": (8, 8, channels), **bright}
        _add(f"saturating_sparse1_{channels}", sparse(1), makes=U8, **shape)
        _add(f"saturating_sparse3_{channels}", sparse(3), makes=U8, **shape)
    for channels in (3, 16, 64):
        shape = {"shape": (8, 8, channels), **bright}
        _add(f"saturating_conv1_{channels}", conv(1), makes=ASYMMETRIC, **shape)
        _add(f"saturating_conv3_{channels}", conv(3), makes=ASYMMETRIC, **shape)
        _add(f"saturating_depthwise_{channels}", depthwise, makes=ASYMMETRIC, **shape)
        _add(f"saturating_multiplied_{channels}", multiplied, makes=ASYMMETRIC, **shape)
        mixed = {**shape, "negatives": 0.02}
        _add(f"saturating_signed_{channels}", padded, S8, ASYMMETRIC, **mixed)
        _add(f"saturating_signed_depthwise_{channels}", padded_depthwise, S8, ASYMMETRIC, **mixed)
    _add("saturating_depthwise_1", depthwise, shape=(8, 8, 1), makes=ASYMMETRIC, **bright)
    _add("saturating_dense", dense, makes=None, shape=(256,), **bright)
    dark = {"shape": (8, 8, 4), "negatives": 0.02, "source": "flat"}
    _add("saturating_signed_dense", signed_dense, S8, None, **{**bright, **dark})


def _depthwise():
    for reads in (U8, S8):
        _add(f"depthwise_{reads}_relu", _relu(Net.depthwise), reads)
        _add(f"depthwise_{reads}_relu6", _relu6(Net.depthwise), reads)
        _add(f"depthwise_{reads}_linear", Net.depthwise, reads, ASYMMETRIC)
        _add(f"depthwise_{reads}_to_s8", _kept(Net.depthwise, S8), reads, S8)
        _add(f"depthwise_{reads}_pad", _relu(_behind_pad(Net.depthwise)), reads)
        sides = [[0, 0], [0, 0], [1, 1], [0, 0]]
        for multiplier, channels in ((1, 8), (2, 4), (1, 1), (3, 1)):

            def side_padded(net, x, multiplier=multiplier, sides=sides):
                padded = net.tf.pad(x, sides)
                return net.depthwise(padded, padding="VALID", multiplier=multiplier)

            shape = {"shape": (9, 9, channels)}
            name = f"depthwise_{reads}_sides_{channels}x{multiplier}"
            _add(name, side_padded, reads, ASYMMETRIC, **shape)
            _add(
                f"conv_{reads}_sides_{channels}x{multiplier}",
                lambda net, x, m=multiplier, p=sides: net.conv(x, outputs=m, padding=p),
                reads,
                ASYMMETRIC,
                **shape,
            )
    forms = {
        "valid": {"padding": "VALID"},
        "stride2": {"stride": 2},
        "multiplier2": {"multiplier": 2},
        "no_bias": {"bias": False},
        "kernel5": {"kernel": 5},
    }
    for name, options in forms.items():
        for channels in (8, 5):

            def layer(net, x, options=options):
                return net.depthwise(x, **options)

            _add(f"depthwise_{name}_{channels}", _relu(layer), shape=(9, 9, channels))
    _add(
        "depthwise_asymmetric_valid",
        lambda net, x: net.depthwise(x, padding="VALID"),
        ASYMMETRIC,
        ASYMMETRIC,
    )


def _dense():
    flat = {"shape": (20,), "makes": None}
    for reads in (U8, ASYMMETRIC):
        _add(f"dense_{reads}", Net.dense, reads, **flat)
        _add(f"dense_{reads}_relu", _relu(Net.dense), reads, **flat)
        _add(f"dense_{reads}_relu6", _relu6(Net.dense), reads, **flat)
        _add(f"dense_{reads}_no_bias", lambda n, x: n.dense(x, bias=False), reads, **flat)
        _add(f"dense_{reads}_transposed", lambda n, x: n.dense(x, transpose_b=True), reads, **flat)

    def signed(net, x):
        made = net.conv(x)
        net.tf.identity(net.conv(made), name="reader")
        return net.dense(net.tf.reshape(made, [-1, 81 * 8], name="flat"))

    _add("dense_s8", signed, S8, None, source="flat")


def _sums():
    kinds = {"relu": U8, "relu6": U8, "linear": ASYMMETRIC}
    for reads, added, tail in (
        (reads, added, tail)
        for reads in (U8, S8, ASYMMETRIC)
        for added in (U8, ASYMMETRIC)
        for tail in kinds
    ):

        def build(net, x, reads=reads, added=added, tail=tail):
            kernel = 1 if reads == ASYMMETRIC else 3
            # The summand comes from an fp32 op, whatever its encoding will be.
            other = net.tf.math.sin(x * 3.0) * 1.2
            other = net.tf.math.sqrt(net.tf.abs(other)) if added == U8 else other
            made = other + net.conv(x, kernel=kernel)
            if tail == "linear":
                return made
            return net.tf.nn.relu(made) if tail == "relu" else net.tf.nn.relu6(made)

        _add(f"sum_{reads}_{added}_{tail}", build, reads, kinds[tail])


def _clamps():
    """Relu and Relu6 that the encoding's ends do not implement, because others share it."""

    def relu_shares_signed(net, x):
        one, other = net.tf.nn.relu(net.conv(x)), net.conv(x)
        net.tf.identity(net.conv(net.tf.concat([one, other], 3), kernel=1), name="reader")
        return one

    def relu6_shares_wide(net, x):
        one, other = net.tf.nn.relu6(net.conv(x) * 4.0), net.tf.nn.relu(net.conv(x) * 9.0)
        net.tf.identity(net.conv(net.tf.concat([one, other], 3), kernel=1), name="reader")
        return one

    def relu6_shares_s8(net, x):
        one, other = net.tf.nn.relu6(net.conv(x) * 4.0), net.conv(x) * 6.0
        net.tf.identity(net.conv(net.tf.concat([one, other], 3)), name="reader")
        return one

    _add("relu_shares_signed", relu_shares_signed, makes=S8)
    _add("relu6_shares_wide", relu6_shares_wide)
    _add("relu6_shares_s8", relu6_shares_s8, makes=S8)


def _movements():
    def moves(tf, x):
        channels = int(x.shape[3])
        split = [channels // 2, channels - channels // 2]
        yield "maxpool_same", tf.nn.max_pool2d(x, 3, 2, "SAME")
        yield "maxpool_valid", tf.nn.max_pool2d(x, 2, 2, "VALID")
        yield "avgpool_same", tf.nn.avg_pool2d(x, 3, 2, "SAME")
        yield "avgpool_valid", tf.nn.avg_pool2d(x, 3, 1, "VALID")
        yield "concat", tf.concat([x, x[:, :, :, :2]], 3)
        yield "concat_rows", tf.concat([x, x], 1)
        yield "strided_slice", x[:, 1::2, :-1, 1:]
        yield "slice", tf.slice(x, [0, 1, 0, 1], [-1, 4, -1, -1])
        yield "gather", tf.gather(x, list(reversed(range(channels))), axis=3)
        yield "transpose", tf.transpose(x, [0, 2, 1, 3])
        yield "reshape", tf.reshape(x, [-1, 3, 27, channels])
        yield "squeeze", tf.squeeze(tf.expand_dims(x, 3), [3])
        yield "resize", tf.compat.v1.image.resize_nearest_neighbor(x, [18, 13])
        yield "pad", tf.pad(x, [[0, 0], [1, 0], [2, 3], [0, 0]])
        yield "pad_channels", tf.nn.max_pool2d(tf.pad(x, [[0, 0]] * 3 + [[1, 2]]), 2, 1, "SAME")
        yield "relu", tf.nn.relu(tf.nn.max_pool2d(x, 2, 1, "SAME"))
        yield "relu6", tf.nn.relu6(tf.nn.max_pool2d(x, 2, 1, "SAME"))
        yield "leaky", tf.nn.leaky_relu(x, 0.1)
        yield "leaky_steep", tf.nn.leaky_relu(x, 0.93)
        yield "splitv", tf.split(x, split, 3)[1]
        if channels % 2 == 0:
            yield "split", tf.split(x, 2, 3)[1]

    for kind in (U8, ASYMMETRIC, S8):
        for channels in (8, 3):

            def source(net, x, kind=kind, channels=channels):
                made = net.conv(x, outputs=channels, bias=False)
                return net.tf.nn.relu(made + 0.5) if kind == U8 else made

            def every(net, x, kind=kind, source=source):
                for name, moved in moves(net.tf, source(net, x)):
                    with net.tf.name_scope(name):
                        net.tf.identity(net.keep_int8(moved, kind), name="o")

            _add(f"moved_{kind}_{channels}", every, makes=None)


def _trunk():
    """What passes turn into kernels: arithmetic, means and products in the middle of a network."""

    def value(net, x, kind):
        made = net.conv(x, bias=False)
        if kind == U8:
            return net.keep_int8(net.tf.nn.relu(made, name="value"), U8)
        shift = net.constant(8, deviation=0.1)
        return net.keep_int8(net.tf.nn.bias_add(made, shift, name="value"), kind)

    def affine(net, x):
        scale, shift = net.constant(8, deviation=0.6), net.constant(8, deviation=0.1)
        return x * net.tf.reshape(scale, [1, 1, 1, 8]) + shift

    def normed(net, x):
        variance = net.tf.abs(net.constant(8)) + 0.5
        vectors = [net.constant(8, deviation=deviation) for deviation in (0.6, 0.2, 0.2)]
        return net.tf.compat.v1.nn.fused_batch_norm(x, *vectors, variance, is_training=False)[0]

    def mean(net, x):
        return net.tf.reduce_mean(x, [1, 2], keepdims=True)

    def pooled(net, x):
        return net.tf.nn.avg_pool2d(x, [9, 9], 1, "VALID")

    for kind in (U8, ASYMMETRIC, S8):
        for layer in (affine, normed):

            def rectified(net, x, kind=kind, layer=layer):
                return net.keep_int8(net.tf.nn.relu(layer(net, value(net, x, kind))), U8)

            def signed(net, x, kind=kind, layer=layer):
                return net.keep_int8(layer(net, value(net, x, kind)), S8)

            name = f"trunk_{layer.__name__}_{kind}"
            _add(f"{name}_relu", rectified, source="value")
            RECIPES[f"{name}_relu"] = replace(RECIPES[f"{name}_relu"], reads=kind)
            if layer is affine:
                _add(f"{name}_to_s8", signed, makes=S8, source="value")
                RECIPES[f"{name}_to_s8"] = replace(RECIPES[f"{name}_to_s8"], reads=kind)
        for layer in (mean, pooled):

            def averaged(net, x, kind=kind, layer=layer):
                makes = U8 if kind == U8 else ASYMMETRIC
                return net.keep_int8(layer(net, value(net, x, kind)), makes)

            name = f"trunk_{layer.__name__}_{kind}"
            _add(name, averaged, makes=U8 if kind == U8 else ASYMMETRIC, source="value")
            RECIPES[name] = replace(RECIPES[name], reads=kind)

    def product(net, x):
        return net.tf.matmul(x, net.constant(8, 12, deviation=0.3)) + net.constant(12)

    def einsum(net, x):
        weights = net.constant(8, 3, 4, deviation=0.3)
        return net.tf.raw_ops.Einsum(inputs=[x, weights], equation="abc,cde->abde")

    for reads in (U8, ASYMMETRIC):
        _add(f"trunk_product_{reads}", product, reads, None, shape=(9, 8), source="add/flat")
        rectified = _relu(product)
        _add(f"trunk_product_{reads}_relu", rectified, reads, None, shape=(9, 8), source="add/flat")
        _add(f"trunk_einsum_{reads}", einsum, reads, None, shape=(9, 8), source="Einsum/flat")


for _fill in (
    _convolutions,
    _weights,
    _saturating,
    _depthwise,
    _dense,
    _sums,
    _clamps,
    _movements,
    _trunk,
):
    _fill()
