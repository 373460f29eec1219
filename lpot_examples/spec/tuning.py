"""The section ``tuning``: the bar, the search and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from lpot_examples.spec import names
from lpot_examples.spec.fields import (
    Flag,
    Number,
    Positive,
    Section,
    Text,
    items,
    many,
    names_in_order,
    one_of,
    refuse,
    show,
    to_flag,
    to_float,
    to_loss,
    to_relative,
    whole,
)

MAX_SEED = 2**32 - 1
"""The largest seed that NumPy's legacy generator and TensorFlow both take."""


class Strategy(Section):
    """Which search runs. The sigopt keys are accepted without effect.

    Attributes:
        name: One of `names.STRATEGIES`.
        accuracy_weight: What accuracy weighs in the loss that ``tpe`` minimizes.
        latency_weight: What latency weighs in it.
    """

    name: Annotated[str, BeforeValidator(one_of(names.STRATEGIES))] = names.DEFAULT_STRATEGY
    # A secret: it stays out of reports and messages.
    sigopt_api_token: Text | None = Field(default=None, exclude=True, repr=False)
    sigopt_project_id: Text | None = None
    sigopt_experiment_name: Text = "lpot-tune"
    accuracy_weight: Number = 1.0
    latency_weight: Number = 1.0


class AccuracyCriterion(Section):
    """The accuracy bar: one of relative and absolute.

    Attributes:
        relative: Largest accepted loss as a fraction of the fp32 score, in [0, 1).
        absolute: Largest accepted loss in the metric's own unit, >= 0.
        higher_is_better: False for metrics that are errors.
    """

    relative: Annotated[float | None, BeforeValidator(to_relative)] = None
    absolute: Annotated[float | None, BeforeValidator(to_loss)] = None
    higher_is_better: Flag = True

    @model_validator(mode="before")
    @classmethod
    def _one_percent(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = [key for key in ("relative", "absolute") if data.get(key) is not None]
        if len(given) == 2:
            refuse("cannot be combined with relative; keep one.", at=("absolute",))
        return data if given else {**data, "relative": 0.01}


class MultiObjectives(Section):
    """Several objectives at once, as in later versions of LPOT.

    Attributes:
        objective: Names from `names.OBJECTIVES`.
        weight: One number >= 0 per objective, None for equal weights.
        higher_is_better: One flag per objective, None for each one's own sense. All but accuracy
            are better when lower; that of accuracy is what ``accuracy_criterion`` says.
    """

    objective: Annotated[tuple[str, ...], BeforeValidator(many(one_of(names.OBJECTIVES)))]
    weight: Annotated[
        tuple[float, ...] | None,
        BeforeValidator(lambda v: tuple(to_float(x) for x in items(v))),
    ] = None
    higher_is_better: Annotated[
        tuple[bool, ...] | None,
        BeforeValidator(lambda v: tuple(to_flag(x) for x in items(v))),
    ] = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        wanted = len(self.objective)
        for key in ("weight", "higher_is_better"):
            values = getattr(self, key)
            if values is not None and len(values) != wanted:
                refuse(
                    f"must have one value for each of the {wanted} objectives; got {len(values)}.",
                    at=(key,),
                )
        if any(weight < 0 for weight in self.weight or ()):
            refuse("must not be negative.", at=("weight",))
        for name, higher in zip(self.objective, self.higher_is_better or (), strict=False):
            if higher and name != "accuracy":
                refuse(
                    f"must be false for {name}, which is better when lower; got true.",
                    at=("higher_is_better",),
                )
        return self


def _seconds(value: object) -> float:
    seconds = to_float(value)
    if seconds < 0:
        refuse(f"must be a number of seconds >= 0; got {show(value)}.")
    return seconds


class ExitPolicy(Section):
    """When the search ends.

    Attributes:
        timeout: Seconds, 0 to end at the first configuration that meets the bar.
        max_trials: Largest number of trials, >= 1.
        performance_only: Quantize all that can be, without looking at accuracy.
    """

    timeout: Annotated[float, BeforeValidator(_seconds)] = 0.0
    max_trials: Positive = 100
    performance_only: Flag = False


class Workspace(Section):
    """Where the journal goes.

    Attributes:
        path: A folder, None for the command's own choice.
        resume: A journal to continue from.
    """

    path: Text | None = None
    resume: Text | None = None


class Diagnosis(Section):
    """LPOT's tensor dump, accepted without effect."""

    diagnosis_after_tuning: Flag = False
    op_list: Annotated[tuple[str, ...], BeforeValidator(names_in_order)] = ()
    iteration_list: Annotated[tuple[int, ...], BeforeValidator(many(whole(1)))] = (1,)
    inspect_type: Annotated[str, BeforeValidator(one_of(names.INSPECT_TYPES))] = "all"
    save_to_disk: Flag = True
    save_path: Text = "./nc_workspace/inspect_saved/"


class Tuning(Section):
    """The bar, the search and when it ends."""

    strategy: Strategy = Strategy()
    accuracy_criterion: AccuracyCriterion = AccuracyCriterion(relative=0.01)
    objective: Annotated[str, BeforeValidator(one_of(names.OBJECTIVES))] = "performance"
    multi_objectives: MultiObjectives | None = None
    exit_policy: ExitPolicy = ExitPolicy()
    random_seed: Annotated[int, BeforeValidator(whole(0, MAX_SEED))] = 1978
    tensorboard: Flag = False
    workspace: Workspace = Workspace()
    diagnosis: Diagnosis = Diagnosis()

    @model_validator(mode="before")
    @classmethod
    def _one_objective(cls, data: Any) -> Any:
        pair = ("objective", "multi_objectives")
        if isinstance(data, Mapping) and all(data.get(key) is not None for key in pair):
            refuse("cannot be combined with multi_objectives; keep one.", at=("objective",))
        return data
