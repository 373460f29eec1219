"""The sections ``model`` and ``quantization``, and the sections accepted without effect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from lpot_examples.errors import nearest
from lpot_examples.spec import names
from lpot_examples.spec.constraints import OpConstraint, is_regex
from lpot_examples.spec.evaluation import Dataloader
from lpot_examples.spec.fields import (
    Flag,
    Names,
    Section,
    Text,
    choose,
    many,
    one_of,
    refuse,
    remark,
    whole,
)
from lpot_examples.spec.frozen import FrozenMap


def _framework(value: object, info: ValidationInfo) -> str:
    if value in names.FRAMEWORKS:
        return str(value)
    if isinstance(value, str) and value in names.FRAMEWORK_ALIASES:
        framework = names.FRAMEWORK_ALIASES[value]
        remark(info, f"model.framework {value} is read as {framework}: no extra runtime is used.")
        return framework
    supported = ", ".join(names.FRAMEWORKS)
    if value in names.OTHER_FRAMEWORKS:
        refuse(f"is {value}, which this tool does not support; it supports {supported}.")
    return refuse(choose(value, names.FRAMEWORKS))


class Model(Section):
    """The network.

    Attributes:
        name: A name for reports and file names.
        framework: A key of `names.FRAMEWORKS`.
        inputs: Names of the input tensors, empty when they are to be found.
        outputs: Names of the output tensors, empty when they are to be found.
    """

    name: Text
    framework: Annotated[str, BeforeValidator(_framework)]
    inputs: Names = ()
    outputs: Names = ()

    @property
    def backend(self) -> str:
        """The folder of ``lpot_examples.backends`` that serves the framework."""
        return names.FRAMEWORKS[self.framework]


def _approach(value: object) -> str:
    if value == "quant_aware_training":
        refuse(
            "is quant_aware_training, which is not supported by this tool; remove it to quantize "
            "after training."
        )
    return one_of(names.APPROACHES)(value)


class Calibration(Section):
    """How activations are measured.

    Attributes:
        sampling_size: How many samples to measure, each >= 1; several are tried in order.
        dataloader: Where the samples come from, None when code provides them.
    """

    sampling_size: Annotated[tuple[int, ...], BeforeValidator(many(whole(1)))] = (100,)
    dataloader: Dataloader | None = None


class Recipes(Section):
    """LPOT's switches for parts of the int8 rewriting."""

    scale_propagation_max_pooling: Flag = True
    scale_propagation_concat: Flag = True
    first_conv_or_matmul_quantization: Flag = True
    fast_bias_correction: Flag = False
    weight_correction: Flag = False


class Advance(Section):
    """LPOT's advanced switches."""

    bias_correction: Annotated[str | None, BeforeValidator(one_of(("weight_empirical",)))] = None


def _op_wise(value: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        refuse("must map op names or regular expressions to {weight: {...}, activation: {...}}.")
    return value


def _op_key(key: str) -> str:
    if is_regex(key):
        try:
            re.compile(key)
        except re.error as error:
            refuse(f"is not a valid regular expression: {error}.")
    return key


ByOp = Annotated[
    Mapping[Annotated[str, AfterValidator(_op_key)], OpConstraint],
    BeforeValidator(_op_wise),
    AfterValidator(FrozenMap),
]


class Quantization(Section):
    """What may be quantized, and how.

    Attributes:
        approach: One of `names.APPROACHES`.
        model_wise: Constraint on every op.
        optype_wise: Op type → constraint, matched exactly.
        op_wise: Op name or regular expression → constraint, in the order written.
    """

    approach: Annotated[str, BeforeValidator(_approach)] = "post_training_static_quant"
    calibration: Calibration = Calibration()
    recipes: Recipes = Recipes()
    advance: Advance = Advance()
    model_wise: OpConstraint = OpConstraint()
    optype_wise: ByOp = FrozenMap()
    op_wise: ByOp = FrozenMap()


Precisions = Annotated[tuple[str, ...], BeforeValidator(many(one_of(names.FLOAT_PRECISIONS)))]


class FloatPrecision(Section):
    """``graph_optimization`` and ``mixed_precision``: accepted without effect.

    LPOT reads them in other commands than quantization.
    """

    precisions: Precisions = ("fp32",)
    op_wise: ByOp = FrozenMap()


def _graph_op_wise(value: Any) -> Any:
    # LPOT 1.x wrote one {weight, activation} pair here; later versions a mapping from op names.
    if isinstance(value, Mapping) and value and set(value) <= {"weight", "activation"}:
        return {".*": value}
    return value


class GraphOptimization(FloatPrecision):
    """``graph_optimization``, whose ``op_wise`` may be a single constraint."""

    op_wise: Annotated[ByOp, BeforeValidator(_graph_op_wise)] = FrozenMap()


class ModelConversion(Section):
    """``model_conversion``: accepted without effect, as LPOT reads it in another command."""

    source: Text = "QAT"
    destination: Text = "default"


def to_device(value: object) -> str:
    """Accept ``cpu`` and explain the rest."""
    if value == "gpu":
        refuse("is gpu, which is not supported by this tool; remove it or write cpu.")
    if value != "cpu":
        hint = nearest(str(value), ("cpu",))
        refuse(f"must be cpu; got {value!r}.{hint}")
    return "cpu"
