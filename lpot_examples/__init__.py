"""Post-training quantization tuning for CPUs.

Importing this package loads no framework: the public names are resolved when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpot_examples.lazy import lazy

if TYPE_CHECKING:
    from lpot_examples.backends.registry import load_model
    from lpot_examples.backends.tensorflow.model import TensorFlowModel
    from lpot_examples.errors import LpotError
    from lpot_examples.evaluation.result import EvaluationResult
    from lpot_examples.quantization import tune
    from lpot_examples.quantizer import Quantization
    from lpot_examples.spec import Spec, load_spec

__version__ = "0.1.0"

_HOMES = {
    "EvaluationResult": "lpot_examples.evaluation.result",
    "LpotError": "lpot_examples.errors",
    "Quantization": "lpot_examples.quantizer",
    "Spec": "lpot_examples.spec",
    "TensorFlowModel": "lpot_examples.backends.tensorflow.model",
    "load_model": "lpot_examples.backends.registry",
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

__getattr__, __dir__ = lazy(__name__, _HOMES)
