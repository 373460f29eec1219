"""The oracle against definitions written out as loops, and against known values."""

import numpy as np
import pytest

from lpot_examples.quantize.encoding import Encoding, asymmetric, symmetric, unsigned
from lpot_examples.quantize.reference import LinearKernel, same_pads, sqnr
from lpot_examples.quantize.weights import quantize_weights

RNG = np.random.default_rng(0)


def loops(x, weights, strides, dilations, pads, depthwise):
    """Convolve as the definition says, one product at a time."""
    padded = np.pad(x, ((0, 0), pads[:2], pads[2:], (0, 0)))
    kh, kw, inputs, last = weights.shape
    rows = (padded.shape[1] - (kh - 1) * dilations[0] - 1) // strides[0] + 1
    columns = (padded.shape[2] - (kw - 1) * dilations[1] - 1) // strides[1] + 1
    result = np.zeros((len(x), rows, columns, inputs * last if depthwise else last))
    for n, y, c, i, j, k, m in np.ndindex(len(x), rows, columns, kh, kw, inputs, last):
        value = padded[n, y * strides[0] + i * dilations[0], c * strides[1] + j * dilations[1], k]
        result[n, y, c, k * last + m if depthwise else m] += value * weights[i, j, k, m]
    return result


@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2dNative"])
@pytest.mark.parametrize("encoding", [unsigned(2.0), asymmetric(-1.0, 2.0), symmetric(-1.0, 2.0)])
@pytest.mark.parametrize(
    ("strides", "dilations", "pads"),
    [
        ((1, 1), (1, 1), (0, 0, 0, 0)),
        ((2, 1), (1, 1), (1, 0, 2, 1)),
        ((1, 1), (2, 1), (1, 1, 1, 1)),
    ],
)
def test_convolutions_equal_their_definition(op, encoding, strides, dilations, pads):
    axes = (3,) if op == "Conv2D" else (2, 3)
    weights = quantize_weights(RNG.normal(0, 1, (3, 2, 2, 3)).astype(np.float32), axes)
    bias = RNG.normal(0, 1, len(weights.scales))
    kernel = LinearKernel(
        op=op,
        reads=encoding,
        weights=weights,
        bias=bias,
        strides=strides,
        dilations=dilations,
        pads=pads,
    )
    codes = encoding.quantize(RNG.uniform(-1, 2, (2, 6, 5, 2)))
    scales = weights.scales.astype(np.float64)
    real = weights.codes * (scales if op == "Conv2D" else scales.reshape(2, 3))
    x = (codes.astype(np.float64) - encoding.zero_point) * encoding.scale
    wanted = loops(x, real, strides, dilations, pads, op != "Conv2D") + bias
    np.testing.assert_allclose(kernel(codes), wanted, rtol=1e-9, atol=1e-9)


def test_a_matrix_product_with_sum_activation_and_requantization():
    weights = quantize_weights(np.array([[1.0, -1.0], [0.5, 0.25]], np.float32), (1,))
    reads, makes, adds = unsigned(255.0), unsigned(25.5), asymmetric(-10.0, 15.5)
    kernel = LinearKernel(
        op="MatMul",
        reads=reads,
        weights=weights,
        bias=np.array([0.5, 0.0]),
        makes=makes,
        activation="Relu6",
        summand=adds,
    )
    added = adds.quantize(np.array([[-1.0, 2.0]]))
    # 2·1 + 4·0.5 + 0.5 − 1 = 3.5 and 2·(−1) + 4·0.25 + 2 = 1.0
    codes = kernel(np.array([[2, 4]], np.uint8), added)
    np.testing.assert_allclose(makes.dequantize(codes), [[3.5, 1.0]], atol=0.06)
    above = kernel(np.array([[200, 0]], np.uint8), added)
    np.testing.assert_allclose(makes.dequantize(above), [[6.0, 0.0]], atol=0.06)


@pytest.mark.parametrize("size", [5, 6, 9])
@pytest.mark.parametrize("taps", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_gives_ceil_size_over_stride(size, taps, stride):
    top, bottom, left, right = same_pads((size, size), (taps, taps), (stride, 1), (1, 2))
    assert (size + top + bottom - taps) // stride + 1 == -(-size // stride)
    assert size + left + right - (taps - 1) * 2 == size
    assert 0 <= bottom - top <= 1


def test_sqnr():
    signal = np.ones(1000)
    assert sqnr(signal, signal) == np.inf
    assert sqnr(signal, signal * 0.9) == pytest.approx(20.0)
    with pytest.raises(ValueError, match="shapes differ"):
        sqnr(np.ones((1, 3)), np.ones(3))


@pytest.mark.parametrize("low", [-3.0, -0.001, 0.0])
@pytest.mark.parametrize("high", [0.0, 0.002, 7.0])
def test_encodings_hold_zero_exactly_and_the_ends_within_a_step(low, high):
    for encoding in (asymmetric(low, high), symmetric(low, high)):
        assert encoding.dequantize(encoding.quantize(np.zeros(1)))[0] == 0
        values = np.linspace(low, high, 101)
        back = encoding.dequantize(encoding.quantize(values))
        assert np.abs(back - values).max() <= 0.75 * encoding.scale


def test_an_encoding_saturates():
    encoding = Encoding("u8", 0.5, 10)
    np.testing.assert_array_equal(encoding.quantize(np.array([-99.0, 99.0])), [0, 188 + 20])
    np.testing.assert_array_equal(encoding.quantize(np.array([-99.0, 999.0])), [0, 255])
    signed = symmetric(-1, 1)
    np.testing.assert_array_equal(signed.quantize(np.array([-9.0, 9.0])), [-127, 127])
