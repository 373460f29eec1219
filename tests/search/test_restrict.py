"""The part of a search space that another engine offers."""

import pytest

from lpot_examples.graph import Group, Op, OpGraph, Precision
from lpot_examples.search import build_space
from lpot_examples.search.restrict import restrict
from lpot_examples.spec import load_spec

NAMES = ("a", "b")
GRAPH = OpGraph(
    tuple(
        Group(
            name=name,
            type="Conv2D",
            ops=(Op(name, "Conv2D"),),
            precisions=(Precision.INT8, Precision.FP32),
        )
        for name in NAMES
    )
)


def offered(**quantization):
    spec = load_spec(
        {"model": {"name": "net", "framework": "tensorflow"}, "quantization": quantization}
    )
    space = build_space(GRAPH, dict.fromkeys(NAMES, "Conv2D"), spec)
    return restrict(
        space,
        spec,
        engine="other",
        activation_algorithms=("minmax", "kl"),
        weight_algorithms=("minmax",),
    )


def test_without_a_wish_the_engines_default_is_all_there_is():
    space = offered()
    assert space.activation_algorithms == space.weight_algorithms == ("minmax",)
    assert space.base.activation_algorithm == "minmax"
    assert not space.repairs
    assert [group.name for group in space.free] == list(NAMES)


@pytest.mark.parametrize(("wish", "found"), [("kl", ("kl",)), (["kl", "minmax"], ("kl", "minmax"))])
def test_wishes_that_the_engine_can_follow(wish, found):
    space = offered(model_wise={"activation": {"algorithm": wish}})
    assert space.activation_algorithms == found
    assert space.base.activation_algorithm == found[0]


def test_a_wish_for_one_op():
    space = offered(op_wise={"b": {"activation": {"algorithm": ["mse", "kl"]}}})
    assert space.base.activation_overrides == {"b": "kl"}
