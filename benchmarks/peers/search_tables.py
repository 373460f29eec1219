"""The tables of the comparison of searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peers.search_run import FP32, PLAIN, RESULT, TOOLS

Result = Mapping[str, Any]

_HEAD = (
    "network", "bar", "tool", "full evals", "search s", "wall s", "fp32", "result", "lost",
    "met", "ms (p10–p90)", "/ all-int8", "/ fp32", "note",
)  # fmt: skip
_BEST_HEAD = (
    "network", "bar", "groups", "subsets", "scored", "optimum in fp32", "ours in fp32",
    "optimum ms", "ours ms", "ours / optimum", "note",
)  # fmt: skip


def render(rows: Sequence[Result]) -> str:
    """Return both tables and the remarks as Markdown."""
    searches = [row for row in rows if row["tool"] != "exhaustive"]
    best = [row for row in rows if row["tool"] == "exhaustive"]
    parts = []
    if searches:
        parts.append(_table(_HEAD, [_search(row) for row in searches]))
    if best:
        parts.append(_table(_BEST_HEAD, [_best(row) for row in best]))
    parts.append("\n".join(_remarks(rows)))
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _search(row: Result) -> list[str]:
    latency = row.get("latency", {})
    ms = latency.get("ms", {}).get(RESULT)
    met = row.get("met")
    return [
        row["network"],
        f"{row['bar']:.1%}",
        TOOLS[row["tool"]].title,
        _number(row.get("full_evaluations"), "{:.4g}"),
        _number(row.get("search_s"), "{:.1f}"),
        _number(row.get("wall_s"), "{:.1f}"),
        _number(row.get("fp32"), "{:.4f}"),
        _number(row.get("accuracy"), "{:.4f}"),
        _number(row.get("lost"), "{:+.2%}"),
        "–" if met is None else "yes" if met else "NO",
        f"{ms['p50']:.2f} ({ms['p10']:.2f}–{ms['p90']:.2f})" if ms else "–",
        _ratio(latency.get("ratios", {}).get(PLAIN)),
        _ratio(latency.get("ratios", {}).get(FP32)),
        "; ".join(_notes(row)),
    ]


def _best(row: Result) -> list[str]:
    ms = row.get("ms", {})
    return [
        row["network"],
        f"{row['bar']:.1%}",
        str(row.get("groups", "–")),
        str(row.get("subsets", "–")),
        str(row.get("scored", "–")),
        str(len(row["optimum"])) if "optimum" in row else "–",
        str(len(row["ours is"])) if "ours is" in row else "–",
        _number(ms.get("optimum"), "{:.3f}"),
        _number(ms.get("ours"), "{:.3f}"),
        _ratio(row.get("ours / optimum")),
        "; ".join(_notes(row)),
    ]


def _notes(row: Result) -> list[str]:
    notes = [row["status"]] if row["status"] != "ok" else []
    latency = row.get("latency", {})
    if "error" in latency:
        notes.append(f"latency: {latency['error']}")
    notes += [f"same file as {name}" for name in latency.get("same", ())]
    noise = latency.get("noise") or row.get("noise")
    if noise and not noise["quiet"]:
        notes.append(f"NOISY: others used {noise['foreign']:.0%} of the cores")
    if row.get("foreign") and row["foreign"] > 0.1:
        notes.append("times ~: others used the cores")
    return [note.replace("|", "/") for note in notes]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _ratio(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    interval = found["interval"]
    return f"{found['value']:.2f} ({interval['low']:.2f}–{interval['high']:.2f})"


def _remarks(rows: Sequence[Result]) -> list[str]:
    """Say on what the latencies were taken."""
    lines: dict[str, None] = {}
    for row in rows:
        latency = row.get("latency", {})
        if "host" not in latency:
            continue
        host, facts = latency["host"], latency["facts"][RESULT]
        said = "; ".join(f"{key}: {value}" for key, value in facts.items())
        if TOOLS[row["tool"]].runtime != "tensorflow":  # kernels differ by network
            said = f"CPU has {host['cpu_isa']}; see the JSON for kernels"
        lines[f"{TOOLS[row['tool']].title}: {host['cpu']}, {said}"] = None
    return [f"- {line}" for line in lines]
