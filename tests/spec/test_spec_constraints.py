"""Names, regular expressions, and how several constraints on one op combine."""

from __future__ import annotations

import pytest

from lpot_examples.errors import SpecError
from lpot_examples.spec import load_spec
from lpot_examples.spec.constraints import is_regex, matches

MODEL = {"name": "n", "framework": "tensorflow"}


def spec_with(**quantization):
    return load_spec({"model": MODEL, "quantization": quantization})


@pytest.mark.parametrize(
    ("key", "regex"),
    [
        ("conv1", False),
        ("scope/block-1/Conv2D", False),
        (".hidden", False),
        ("0/Conv", False),
        ("a.b", False),
        ("_private", True),
        ("conv.*", True),
        ("Preprocessor/*", True),
        ("a b", True),
        ("a:0", True),
        ("", True),
    ],
)
def test_what_is_a_regex(key, regex):
    assert is_regex(key) is regex


@pytest.mark.parametrize(
    ("key", "op", "applies"),
    [
        ("conv1", "conv1", True),
        ("conv1", "conv10", False),
        ("a.b", "axb", False),
        ("conv[12]", "conv1/Conv2D", True),
        ("conv[12]", "scope/conv1", False),
        ("conv1$|x", "conv10", False),
        ("Preprocessor/*", "Preprocessor/map/while", True),
        (".*Tower.*", "Box/Tower_1/Conv", True),
    ],
)
def test_names_are_equal_and_regexes_match_at_the_start(key, op, applies):
    assert matches(key, op) is applies


def test_all_matching_layers_intersect():
    spec = spec_with(
        model_wise={
            "activation": {"algorithm": ["minmax", "kl", "mse"], "dtype": "uint8, fp32"},
            "weight": {"granularity": "per_channel"},
        },
        optype_wise={"Conv2D": {"activation": {"algorithm": ["kl", "minmax"]}}},
        op_wise={
            "block1/.*": {"activation": {"algorithm": ["minmax", "percentile"]}},
            "block1/conv": {"weight": {"bit": 7}},
            "block2/.*": {"activation": {"dtype": ["fp32"]}},
        },
    )
    conv = spec.constraints_for("block1/conv", op_type="Conv2D")
    assert conv.activation.algorithm == ("minmax",)
    assert conv.activation.dtype == ("uint8", "fp32")
    assert conv.weight.granularity == ("per_channel",)
    assert conv.weight.bit == (7,)
    other = spec.constraints_for("block2/pool", op_type="MaxPool")
    assert other.activation.algorithm == ("minmax", "kl", "mse")
    assert other.activation.dtype == ("fp32",)
    assert spec.constraints_for("head") == spec.quantization.model_wise


def test_the_most_specific_layer_orders_the_values():
    spec = spec_with(
        model_wise={"activation": {"algorithm": ["minmax", "kl"]}},
        op_wise={"conv": {"activation": {"algorithm": ["kl", "minmax"]}}},
    )
    assert spec.constraints_for("conv").activation.algorithm == ("kl", "minmax")


@pytest.mark.parametrize(
    ("activation", "weight", "int8", "fp32"),
    [
        (None, None, True, True),
        ("fp32", None, False, True),
        (None, "fp32", False, True),
        ("fp32", "int8", False, True),
        ("uint8", None, True, False),
        ("uint8, fp32", "int8, fp32", True, True),
        ("uint8, fp32", "int8", True, False),
        ("bf16", None, False, True),
    ],
)
def test_what_the_dtypes_of_both_sides_allow(activation, weight, int8, fp32):
    op = {"activation": {"dtype": activation}, "weight": {"dtype": weight}}
    constraint = spec_with(op_wise={"conv": op}).constraints_for("conv")
    assert (constraint.allows_int8, constraint.allows_fp32) == (int8, fp32)


def test_a_contradiction_with_model_wise_names_both_lines(load):
    with pytest.raises(SpecError) as caught:
        load(
            "quantization:\n"
            "  model_wise:\n"
            "    activation:\n"
            "      dtype: int8\n"
            "  op_wise:\n"
            "    conv/.*:\n"
            "      activation: {dtype: fp32}\n"
        )
    assert caught.value.line == 8
    message = str(caught.value)
    assert "quantization.op_wise['conv/.*'].activation.dtype allows fp32" in message
    assert "quantization.model_wise.activation.dtype (line 5) allows int8" in message


def test_a_named_op_that_contradicts_a_regex_is_found_at_load(load):
    with pytest.raises(SpecError, match=r"op_wise\['conv\.\*'\].*op_wise\.conv1.*\(line 4\)"):
        load(
            "quantization:\n"
            "  op_wise:\n"
            "    conv1: {weight: {bit: 7}}\n"
            "    conv.*: {weight: {bit: 8}}\n"
        )


def test_two_regexes_contradict_once_an_op_matches_both(load):
    spec = load(
        "quantization:\n"
        "  op_wise:\n"
        "    a.*: {activation: {algorithm: kl}}\n"
        "    .*b: {activation: {algorithm: mse}}\n"
    )
    assert spec.constraints_for("a").activation.algorithm == ("kl",)
    with pytest.raises(SpecError, match=r"line 4") as caught:
        spec.constraints_for("ab")
    assert caught.value.line == 5


def test_the_conflicting_layer_is_named_and_not_an_earlier_one():
    spec = spec_with(
        op_wise={
            "x.*": {"activation": {"algorithm": ["minmax", "kl", "mse"]}},
            "x1.*": {"activation": {"algorithm": ["kl"]}},
            "x12.*": {"activation": {"algorithm": ["mse"]}},
        }
    )
    with pytest.raises(SpecError, match=r"op_wise\['x1\.\*'\]\.activation\.algorithm allows kl"):
        spec.constraints_for("x123")


def test_keys_that_match_nothing_are_reported_with_the_nearest_op(load):
    spec = load(
        "quantization:\n"
        "  optype_wise: {Conv2d: {}, MatMul: {}}\n"
        "  op_wise:\n"
        "    block1/Conv2D: {}\n"
        "    block2/Conv2d: {}\n"
        "    nothing.*: {}\n"
        "    block1.*: {}\n"
    )
    ops = ["block1/Conv2D", "block2/Conv2D"]
    first, second = spec.unmatched(ops)
    assert (first.key, first.is_regex) == ("block2/Conv2d", False)
    assert first.hint == " Did you mean 'block2/Conv2D'?"
    assert (second.key, second.is_regex) == ("nothing.*", True)
    (third,) = spec.unmatched([*ops, "block2/Conv2d", "nothing"], op_types=["Conv2D", "MatMul"])
    assert third.path == ("quantization", "optype_wise", "Conv2d")
    error = spec.error("no such op", *first.path)
    assert (error.line, str(error).endswith("spec.yaml:6: no such op")) == (6, True)
