"""LPOT 1.x's names: code for ``lpot.experimental`` runs after the package's name is changed.

    from lpot_examples.experimental import Quantization, common

    quantizer = Quantization("conf.yaml")
    quantizer.model = common.Model("network.pb")
    quantizer.calib_dataloader = common.DataLoader(dataset, batch_size=8)
    quantizer.eval_dataloader = common.DataLoader(dataset, batch_size=8)
    q_model = quantizer()
    q_model.save("tuned.pb")

Importing it loads nothing; the names are resolved when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpot_examples.experimental import common, data, metric
    from lpot_examples.quantizer import Quantization

__all__ = ["Quantization", "common", "data", "metric"]

_MODULES = ("common", "data", "metric")
_OTHER_JOBS = {
    "Benchmark": "use the command 'lpot_examples benchmark' (run_benchmark.sh)",
    "Graph_Optimization": "it is another job than quantization",
    "MixedPrecision": "it is another job than quantization",
    "ModelConversion": "it is another job than quantization",
    "Pruning": "pruning is another job than quantization",
    "Distillation": "distillation is another job than quantization",
    "Component": "it joins jobs that this tool does not do",
    "Scheduler": "it joins jobs that this tool does not do",
}
"""Names of LPOT that are not here → why."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "Quantization":
        return importlib.import_module("lpot_examples.quantizer").Quantization
    why = f"; {_OTHER_JOBS[name]}" if name in _OTHER_JOBS else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{why}")


def __dir__() -> list[str]:
    return sorted([*globals(), "Quantization", *_MODULES])
