"""The tables that a reader sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.box import MARKDOWN, SIMPLE_HEAD, Box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from peers.columns import COLUMNS, OURS
from peers.networks import NETWORKS
from peers.summary import BROKEN

_GOALS = {
    "inc": "geometric mean of ours / Neural Compressor int8",
    "fp32": "geometric mean of ours / fp32 as given",
    "best": "worst of ours / best of ONNX Runtime and OpenVINO, on ResNet-50 and VGG-16",
    "slower": "networks and batch sizes where ours is slower than fp32",
}
# Above this share of the cores, one-off times of making a model are marked as unreliable.
_NOISY = 0.1
_WIDTH = 240


def render(report: Mapping[str, Any], *, markdown: bool) -> str:
    """Return the tables of a report as text, for a terminal or a document."""
    box = MARKDOWN if markdown else SIMPLE_HEAD
    results, columns = report["results"], report["columns"]
    batches = report["batches"]
    tables: list[Any] = [_latency(results, columns, batch, box) for batch in batches]
    tables += [
        _ratios(results, columns, batches, box),
        _outputs(results, columns, box),
        _times(results, columns, box),
    ]
    tables += [_goals(report["summary"], box)]
    console = Console(file=StringIO(), width=_WIDTH)
    with console.capture() as captured:
        console.print(Group(*tables, *_remarks(report)))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _table(title: str, first: str, columns: Sequence[str], box: Box) -> Table:
    table = Table(title=title, title_justify="left", box=box)
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(COLUMNS[name].title, justify="right", no_wrap=True)
    return table


def _latency(
    results: Sequence[Mapping[str, Any]], columns: Sequence[str], batch: int, box: Box
) -> Table:
    table = _table(f"Milliseconds at batch {batch}: median (p10–p90)", "network", columns, box)
    for result in results:
        cells = [_milliseconds(result["columns"].get(name), batch) for name in columns]
        noise = result["noise"].get(str(batch), {})
        loud = "" if noise.get("quiet", True) else " (noisy)"
        table.add_row(NETWORKS[result["network"]].title + loud, *cells)
    return table


def _ratios(
    results: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    batches: Sequence[int],
    box: Box,
) -> Table:
    title = "Ours as a share of, batch " + " / ".join(map(str, batches)) + ": below 1 is faster"
    names = [name for name in columns if name != OURS]
    table = _table(title, "network", names, box)
    for result in results:
        by_batch = [result["ratios"].get(str(batch), {}) for batch in batches]
        cells = [
            " / ".join(
                f"{found[name]['value']:.2f}" if name in found else "–" for found in by_batch
            )
            for name in names
        ]
        table.add_row(NETWORKS[result["network"]].title, *cells)
    return table


def _ratio(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None else f"{found['value']:.2f}"


def _milliseconds(column: Mapping[str, Any] | None, batch: int) -> str:
    if column is None:
        return "–"
    found = column["latency_ms"].get(str(batch))
    if found is None:
        return "failed"
    suspect = " !" if column.get("output", {}).get("cosine", 1.0) < BROKEN else ""
    return f"{found['p50']:.1f} ({found['p10']:.1f}–{found['p90']:.1f}){suspect}"


def _outputs(results: Sequence[Mapping[str, Any]], columns: Sequence[str], box: Box) -> Table:
    title = "Outputs against fp32 as given: cosine, signal to noise"
    names = columns[1:]
    table = _table(title, "network", names, box)
    for result in results:
        cells = []
        for name in names:
            found = result["columns"].get(name, {}).get("output")
            cells.append(_error(found) if found else "–")
        table.add_row(NETWORKS[result["network"]].title, *cells)
    return table


def _error(found: Mapping[str, Any]) -> str:
    ratio = found["sqnr_db"]
    text = "not finite" if ratio is None else f"{ratio:.1f} dB"
    return f"{found['cosine']:.4f}, {text}"


def _times(results: Sequence[Mapping[str, Any]], columns: Sequence[str], box: Box) -> Table:
    title = "Seconds, once: making it (import apart) / loading it / the first run"
    table = _table(title, "network", columns, box)
    for result in results:
        cells = [_once(result["columns"].get(name)) for name in columns]
        table.add_row(NETWORKS[result["network"]].title, *cells)
    return table


def _once(column: Mapping[str, Any] | None) -> str:
    if column is None:
        return "–"
    made = column["made"]
    seconds = [s for stage, s in made.get("seconds", {}).items() if stage != "import"]
    loud = "~" if (made.get("foreign") or 0) > _NOISY else ""
    parts = [f"{loud}{sum(seconds):.1f}" if seconds else "–"]
    opened = next(iter(column.get("opened", {}).values()), None)
    parts += [f"{opened[key]:.2f}" if opened else "–" for key in ("load_s", "first_s")]
    return " / ".join(parts)


def _goals(summary: Mapping[str, Any], box: Box) -> Table:
    table = Table("goal", "limit", "measured", "met", title="Goals", title_justify="left", box=box)
    for name, goal in summary["goals"].items():
        value = goal["value"]
        text = "–" if value is None else str(value) if name == "slower" else f"{value:.3f}"
        met = {True: "yes", False: "NO", None: "not measured"}[goal["met"]]
        met += " (noisy)" if summary["noisy"] and goal["met"] is not None else ""
        table.add_row(_GOALS[name], f"≤ {goal['limit']}", text, met)
    return table


def _remarks(report: Mapping[str, Any]) -> list[Text | str]:
    summary = report["summary"]
    lines = [
        f"ours / {name}: geometric mean "
        + ", ".join(
            f"{mean:.3f} ({'all' if batch == 'all' else f'batch {batch}'})"
            for batch, mean in means.items()
        )
        for name, means in summary["means"].items()
    ]
    lines += [
        f"{row['network']} at batch {row['batch']}: ours / {row['column']}, the best of the other "
        f"runtimes, is {row['ratio']:.2f}"
        for row in summary["best"]
    ]
    lines += [
        f"SLOWER than fp32: {row['network']} at batch {row['batch']}, {row['ratio']:.2f}"
        for row in summary["slower"]
    ]
    lines += [
        f"!: {row['network']}, {row['column']}: cosine {row['cosine']:.3f} to fp32, below {BROKEN}"
        for row in summary["broken"]
    ]
    lines += [
        f"FAILED: {row['network']}, {row['column']}: {row['error']}" for row in summary["failed"]
    ]
    lines += [f"not measured: {name}: {why}" for name, why in report["skipped"].items()]
    if summary["noisy"]:
        lines.append(
            f"NOISY: others used the cores in {len(summary['noisy'])} of the measurements; repeat "
            "them on a quiet machine before using a figure."
        )
    lines += _kernels(report)
    lines.append("~: other processes used the cores while the model was made.")
    return [escape(line) for line in lines]


def _kernels(report: Mapping[str, Any]) -> list[str]:
    """Say on what each column ran."""
    host = report["host"]
    lines = [f"{host['cpu']}, {len(report['cores'])} cores, CPU has {host['cpu_isa']}"]
    for name in report["columns"]:
        found = [r["columns"][name] for r in report["results"] if "host" in r["columns"][name]]
        if not found:
            continue
        column = found[0]
        opened: dict[str, Any] = next(iter(column.get("opened", {}).values()), {})
        facts = "; ".join(f"{key}: {value}" for key, value in opened.get("facts", {}).items())
        lines.append(f"{name}: {COLUMNS[name].runtime} {column['version']}; {facts}")
    return lines
