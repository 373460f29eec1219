"""Every emission recipe against the NumPy oracle, the fp32 simulation and the fp32 op itself."""

import pytest
from recipes import RECIPES

LEAST_SQNR_DB = 30.0
HALF = 0.5
AVX2 = "onednn_off_avx2"


def _scope(name):
    return name.split("/", 1)[0]


def test_every_recipe_exercises_the_encodings_it_names(figures):
    encodings, judged = figures["encodings"], figures["judged"]
    wrong = {}
    for name, recipe in RECIPES.items():
        if name.startswith("moved"):
            continue
        makes = encodings.get(judged[f"{name}/o"])
        got = encodings.get(f"{name}/{recipe.source}"), makes
        if got != (recipe.reads, recipe.makes):
            wrong[name] = got
    assert not wrong


def test_every_movement_is_carried_in_the_encoding_of_its_source(figures):
    encodings, judged = figures["encodings"], figures["judged"]
    for kind in ("u8", "asymmetric", "s8"):
        for channels in (8, 3):
            recipe = f"moved_{kind}_{channels}/"
            outputs = [n for n in judged if n.startswith(recipe) and n.endswith("/o")]
            # A split into equal parts needs an even number of channels.
            assert len(outputs) == (21 if channels == 8 else 20)
            assert {name: encodings.get(judged[name]) for name in outputs} == dict.fromkeys(
                outputs, kind
            )


def test_all_compute_ops_run_in_int8_and_all_sums_are_fused(figures):
    assert {_scope(name) for name in figures["oracle"]} == set(RECIPES)
    assert sorted(_scope(name) for name in figures["sums"]) == sorted(
        name for name in RECIPES if name.startswith("sum_")
    )


def test_kernels_equal_the_oracle_within_one_code(figures):
    # Real values (of MatMul) are compared in thousandths of the greatest.
    assert {name: off for name, off in figures["oracle"].items() if off > 1} == {}


def test_every_tensor_equals_its_fp32_simulation_within_one_code(figures):
    assert {name: off for name, off in figures["simulation"].items() if off > 1} == {}
    assert {name: off for name, off in figures["forced"].items() if off > 1e-4} == {}


def test_movement_is_exact_except_for_averages_and_slopes(figures):
    inexact = {
        name
        for name, off in figures["simulation"].items()
        if off and name.startswith("moved") and not name.endswith(("/x", "BiasAdd", "Conv2D"))
    }
    computed = ("avgpool", "leakyrelu")
    assert all(
        name.lower().endswith("/relu") or any(op in name.lower() for op in computed)
        for name in inexact
    ), inexact


def test_every_recipe_keeps_thirty_decibels(figures):
    low = {
        name: round(figure, 1)
        for name, figure in figures["sqnr"].items()
        if name.endswith("/o") and figure < LEAST_SQNR_DB
    }
    assert not low


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_int8_is_as_good_as_its_simulation_within_half_a_decibel(figures, weights):
    """Every kernel in every encoding, against the same rounding done in fp32.

    Averages are an exception with oneDNN off: TensorFlow's own kernel cuts off their fraction.
    """
    found = figures["decibels"][weights]
    assert {_scope(name) for name in found} == set(RECIPES)
    averages = HALF if figures["onednn"] else 5.0
    allowed = {name: averages if "avgpool" in name else HALF for name in found}
    assert {n: pair for n, pair in found.items() if pair[0] < pair[1] - allowed[n]} == {}


def test_eight_bit_weights_would_saturate_without_vnni(all_figures):
    if AVX2 not in all_figures:
        pytest.skip("this CPU has no AVX2")
    eight, chosen = all_figures[AVX2]["eight_bits"], all_figures[AVX2]["oracle"]
    for name in (
        "saturating_conv1_16/Conv2D",
        "saturating_conv3_64/Conv2D",
        "saturating_dense/MatMul",
        "saturating_signed_dense/MatMul",
    ):
        assert eight[name] > 20
        assert chosen[name] <= 1


def test_weights_lose_a_bit_only_where_products_saturate(all_figures):
    if AVX2 not in all_figures:
        pytest.skip("this CPU has no AVX2")
    bits = all_figures[AVX2]["bits"]
    assert bits["conv_u8_one_input/Conv2D"] == 7
    assert bits["conv_s8_relu/Conv2D"] == 7
    assert bits["depthwise_u8_relu/depthwise"] == 8
    assert bits["depthwise_multiplier2_8/depthwise"] == 7
