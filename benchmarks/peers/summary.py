"""What the figures say: errors of outputs, geometric means, goals met or missed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = Mapping[str, Any]

BROKEN = 0.8
"""Below this cosine between int8 and fp32 outputs a latency is marked: it may flatter."""

GOALS: Mapping[str, float] = {"inc": 0.55, "fp32": 0.50, "best": 1.10}
"""The largest ratio ours / other that the project aims at."""

BEST_OF = ("ort", "openvino")
BEST_ON = ("resnet50", "vgg16")


def output_error(
    wanted: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]
) -> dict[str, float | None]:
    """Compare outputs with those of the fp32 network; the worst output counts.

    Args:
        wanted: fp32 outputs by name.
        found: Outputs of the same names.

    Returns:
        ``cosine`` between the two, and ``sqnr_db`` = 10 log10 (Var(y) / mean (y - y')^2), the
        signal without its mean. Another shape or a value that is not finite gives cosine 0 and
        None.
    """
    cosines, ratios = [], []
    for name, reference in wanted.items():
        y, other = reference.astype(np.float64), found[name].astype(np.float64)
        if y.shape != other.shape or not np.isfinite(other).all():
            return {"cosine": 0.0, "sqnr_db": None}
        norms = float(np.linalg.norm(y) * np.linalg.norm(other))
        cosines.append(float((y * other).sum()) / norms if norms else 0.0)
        noise = float(np.mean((y - other) ** 2))
        ratios.append(10 * math.log10(max(float(y.var()), 1e-30) / max(noise, 1e-30)))
    return {"cosine": min(cosines), "sqnr_db": min(ratios)}


def geometric_mean(values: Iterable[float]) -> float | None:
    """Return the geometric mean of positive numbers; None of none."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else None


def summarize(results: Sequence[Result]) -> dict[str, Any]:
    """Return the means and lists that answer whether the goals are met.

    Args:
        results: One for each network, as `measure.measure_network` returns them.

    Returns:
        ``means``: ours / column by column, over every network and batch size (``all``) and by
        batch size. ``best``: ours / the faster of ONNX Runtime and OpenVINO by network and batch
        size. ``slower``: where ours is slower than fp32. ``goals``: by goal its limit, the value
        and whether it is met (None where nothing was measured). ``broken``: columns whose outputs
        are far from fp32. ``failed``: columns without a figure, with the reason. ``noisy``: what
        was measured while others used the cores.
    """
    ratios = [
        (result["network"], batch, name, ratio["value"])
        for result in results
        for batch, by_column in result["ratios"].items()
        for name, ratio in by_column.items()
    ]
    means = {
        name: _means([(batch, value) for _, batch, column, value in ratios if column == name])
        for name in dict.fromkeys(column for _, _, column, _ in ratios)
    }
    best = _best(ratios)
    slower = [
        {"network": network, "batch": int(batch), "ratio": value}
        for network, batch, column, value in ratios
        if column == "fp32" and value > 1
    ]
    return {
        "means": means,
        "best": best,
        "slower": slower,
        "goals": _goals(means, best, slower, measured=bool(means.get("fp32"))),
        "broken": [found for result in results for found in _broken(result)],
        "failed": [found for result in results for found in _failed(result)],
        "noisy": [
            {"network": result["network"], "batch": int(batch)}
            for result in results
            for batch, noise in result["noise"].items()
            if not noise["quiet"]
        ],
    }


def _means(values: Sequence[tuple[str, float]]) -> dict[str, float | None]:
    batches = dict.fromkeys(batch for batch, _ in values)
    found = {"all": geometric_mean(value for _, value in values)}
    for batch in batches:
        found[batch] = geometric_mean(value for other, value in values if other == batch)
    return found


def _best(ratios: Sequence[tuple[str, str, str, float]]) -> list[dict[str, Any]]:
    # The larger ours / other, the faster is the other.
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    for network, batch, column, value in ratios:
        if column in BEST_OF:
            worst[network, batch] = max(worst.get((network, batch), (0.0, "")), (value, column))
    return [
        {"network": network, "batch": int(batch), "ratio": value, "column": column}
        for (network, batch), (value, column) in worst.items()
    ]


def _goals(
    means: Mapping[str, Mapping[str, float | None]],
    best: Sequence[Mapping[str, Any]],
    slower: Sequence[object],
    *,
    measured: bool,
) -> dict[str, dict[str, Any]]:
    on_goal = [row["ratio"] for row in best if row["network"] in BEST_ON]
    values = {
        "inc": means.get("inc", {}).get("all"),
        "fp32": means.get("fp32", {}).get("all"),
        "best": max(on_goal) if on_goal else None,
    }
    goals: dict[str, dict[str, Any]] = {
        name: {"limit": limit, "value": values[name], "met": _met(values[name], limit)}
        for name, limit in GOALS.items()
    }
    count = len(slower)
    goals["slower"] = {"limit": 0, "value": count, "met": count == 0 if measured else None}
    return goals


def _met(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def _broken(result: Result) -> list[dict[str, Any]]:
    return [
        {"network": result["network"], "column": name, **column["output"]}
        for name, column in result["columns"].items()
        if "output" in column and column["output"]["cosine"] < BROKEN
    ]


def _failed(result: Result) -> list[dict[str, str]]:
    return [
        {"network": result["network"], "column": name, "error": column["error"]}
        for name, column in result["columns"].items()
        if column["error"]
    ]
