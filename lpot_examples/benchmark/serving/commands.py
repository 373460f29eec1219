"""The commands of serving that a worker obeys; `Fleet` gives them.

    {"do": "fixed_batch", "model": name}               -> {"batch": n or null}
    {"do": "try", "model": name, "batch": n}           -> {"seconds": s} or {"refused": text}
    {"do": "saturate", …, "begin": t, "seconds": s}    -> {"ns": [...], "peak": b}
    {"do": "serve", …, "begin": t, "arrivals": [...]}  -> {"latencies": [...]}

``try`` runs a batch of a size for the first time, and tells how long a second call took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lpot_examples.benchmark.serving.loops import clock, closed_loop, open_loop

if TYPE_CHECKING:
    from lpot_examples.benchmark.worker import Run

Command = Mapping[str, Any]


def _fixed_batch(run: Run, command: Command) -> dict[str, Any]:
    shapes = (run.model.input_spec(name)[0] for name in run.model.input_names)
    sizes = {shape[0] for shape in shapes if shape}
    fixed = sizes - {None}
    return {"batch": fixed.pop() if len(fixed) == 1 else None}


def _try(run: Run, command: Command) -> dict[str, Any]:
    try:
        call = run.sized(command["batch"])
        call()
    except Exception as error:
        return {"refused": next(iter(str(error).splitlines()), "") or type(error).__name__}
    start = clock()
    call()
    return {"seconds": clock() - start}


def _saturate(run: Run, command: Command) -> dict[str, Any]:
    call = run.sized(command["batch"])
    return {"ns": closed_loop(call, begin=command["begin"], seconds=command["seconds"])}


def _serve(run: Run, command: Command) -> dict[str, Any]:
    call = run.sized(command["batch"])
    latencies = open_loop(call, begin=command["begin"], arrivals=command["arrivals"])
    return {"latencies": latencies}


COMMANDS: Mapping[str, Callable[[Run, Command], dict[str, Any]]] = {
    "fixed_batch": _fixed_batch,
    "try": _try,
    "saturate": _saturate,
    "serve": _serve,
}
