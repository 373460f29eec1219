"""Post-training quantization tuning for CPUs.

Importing this package loads no framework: the public names are resolved when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
    from lpot_examples.errors import LpotError
    from lpot_examples.evaluation.result import EvaluationResult
    from lpot_examples.quantization import Quantization, tune
    from lpot_examples.spec import Spec, load_spec

__version__ = "0.1.0"

_HOMES = {
    "EvaluationResult": "lpot_examples.evaluation.result",
    "LpotError": "lpot_examples.errors",
    "Quantization": "lpot_examples.quantization",
    "Spec": "lpot_examples.spec",
    "TensorFlowModel": "lpot_examples.backends.tensorflow.model",
    "load_model": "lpot_examples.backends.tensorflow.model",
    "load_spec": "lpot_examples.spec",
    "tune": "lpot_examples.quantization",
}

__all__ = [
    "EvaluationResult",
    "LpotError",
    "Quantization",
    "Spec",
    "TensorFlowModel",
    "load_model",
    "load_spec",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
