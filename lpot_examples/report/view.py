"""What the page says of a report: verdict, figures, remarks, kinds of ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lpot_examples.report.document import Bar, OpEntry, Report

# Bars of groups in the chart; the table below it has all.
CHARTED_GROUPS = 24

KINDS: Mapping[str, str] = {
    "q": "int8",
    "m": "int8, moves codes between int8 ops",
    "k": "fp32 by choice of the search or the spec",
    "f": "fp32 for other reasons",
}
"""Kind of an op → what its colour means."""


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page. Its tone is ``good``, ``bad`` or an empty string."""

    title: str
    figure: str
    text: str
    tone: str = ""


@dataclass(frozen=True)
class OpRow:
    """An op with its place in the network, from 1, and its kind."""

    number: int
    op: OpEntry
    kind: str


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A fusion group with what was learnt of it; widths of bars in percent of the longest.

    Attributes:
        name: The group's name.
        precision: What it runs in.
        sensitivity: Output error that reverting it removes, or None.
        int8: Milliseconds in int8, or None.
        fp32: Milliseconds in fp32, or None.
        sensitivity_width: Bar of `sensitivity`.
        int8_width: Bar of `int8`.
        fp32_width: Bar of `fp32`.
    """

    name: str
    precision: str
    sensitivity: float | None
    int8: float | None
    fp32: float | None
    sensitivity_width: float
    int8_width: float
    fp32_width: float


def verdict(report: Report) -> tuple[str, str]:
    """Return a tone (``good``, ``bad`` or ``unsure``) and the verdict in a few words."""
    if not report.search.complete:
        return "unsure", "Search unfinished"
    if not report.accuracy.checked:
        return "unsure", "Accuracy not checked"
    if report.model.precision == "fp32":
        return "unsure", "fp32 returned: int8 is slower here"
    return ("good", "Accuracy bar met") if report.accuracy.met else ("bad", "Accuracy bar missed")


def cards(report: Report) -> list[Card]:
    """Return the figures that matter most."""
    found = (
        _accuracy(report),
        _speed(report),
        _size(report),
        _memory(report),
        _groups(report),
        _cost(report),
    )
    return [card for card in found if card is not None]


def _accuracy(report: Report) -> Card:
    accuracy = report.accuracy
    if accuracy.several and accuracy.int8 is not None:
        return _metrics(report)
    title = accuracy.metric or "accuracy"
    if accuracy.fp32 is None:
        return Card(title, "–", "not checked")
    if accuracy.int8 is None:
        return Card(title, "–", f"fp32 {accuracy.fp32:.4f}; no trial yet")
    text = f"fp32 {accuracy.fp32:.4f}; {loss_text(report)}"
    return Card(title, f"{accuracy.int8:.4f}", text, "good" if accuracy.met else "bad")


def _metrics(report: Report) -> Card:
    accuracy, each = report.accuracy, report.accuracy.metrics
    tone = "good" if accuracy.met else "bad"
    text = ", ".join(f"{m.name} {m.fp32:.4f} → {m.int8 or 0.0:.4f}" for m in each)
    if accuracy.weighted is None:
        met = sum(bool(metric.met) for metric in each)
        return Card("accuracy bars met", f"{met} of {len(each)}", text, tone)
    share = used(accuracy.weighted.loss, accuracy.weighted.allowance)
    return Card("weighted loss, of what is allowed", share, text, tone)


def used(loss: float, allowance: float) -> str:
    """Return a loss as a share of what is allowed, as text."""
    if loss <= 0:
        return "none"
    return f"{100 * loss / allowance:.0f} %" if allowance > 0 else "all"


def loss_text(report: Report) -> str:
    """Return the loss in words, relative where the bar is."""
    accuracy = report.accuracy
    return in_words(accuracy.drop_absolute, accuracy.drop_relative, accuracy.criterion)


def in_words(loss: float | None, relative: float | None, bar: Bar) -> str:
    """Return a loss in words, relative where the bar is.

    Args:
        loss: In the metric's unit; None counts as 0.
        relative: As a fraction of the fp32 score, or None where that is 0.
        bar: The metric's bar.
    """
    loss, unit, digits = loss or 0.0, "", 4
    if relative is not None and bar.absolute is None:
        loss, unit, digits = 100 * relative, " %", 2
    if not loss:
        return "nothing lost"
    return f"{abs(loss):.{digits}f}{unit} {'gained' if loss < 0 else 'lost'}"


def bar_text(report: Report) -> str:
    """Return the bar in words, and what it is of; empty where it is not known."""
    accuracy = report.accuracy
    text = accuracy.criterion.text
    if not text or not accuracy.metric:
        return text
    if not accuracy.several:
        return f"{text} of {accuracy.metric}"
    if any(metric.criterion.text != text for metric in accuracy.metrics):
        return text
    return f"{text} of each of {', '.join(metric.name for metric in accuracy.metrics)}"


def _speed(report: Report) -> Card:
    latency = report.latency_ms
    if latency.speedup is None or latency.fp32 is None or latency.int8 is None:
        return Card("speed-up", "–", "latency was not compared")
    text = f"{latency.fp32.p50:.2f} → {latency.int8.p50:.2f} ms"
    if not latency.faster_than_fp32:
        text += ", slower than fp32" if latency.slower_than_fp32 else ", no clear difference"
    tone = "good" if latency.faster_than_fp32 else "bad" if latency.slower_than_fp32 else ""
    return Card("speed-up", f"{latency.speedup:.2f}×", text, tone)


def _size(report: Report) -> Card:
    sizes = report.size_bytes
    if sizes.int8 is None:
        return Card("size", "–", "no model was saved yet")
    if not sizes.fp32:
        return Card("size", megabytes(sizes.int8), "size of fp32 not known")
    text = f"{megabytes(sizes.fp32)} → {megabytes(sizes.int8)}"
    return Card("size", f"{100 * sizes.int8 / sizes.fp32:.0f} %", text)


def _memory(report: Report) -> Card | None:
    size = peak_memory(report)
    if size is None:
        return None
    return Card("peak memory", f"{size / 1e6:.0f} MB", "of a process that runs the int8 model")


def peak_memory(report: Report) -> float | None:
    """Return the peak memory of the trial that is shipped, in bytes; None if not measured."""
    winner = shipped(report)
    trial = next((one for one in report.search.history if one.index == winner), None)
    return None if trial is None else trial.costs.get("footprint")


def _groups(report: Report) -> Card:
    groups = [op for op in report.ops if op.group and op.name == op.group]
    if not groups:
        return Card("groups in int8", "–", "ops are not known yet")
    int8 = sum(op.precision == "int8" for op in groups)
    kept = sum(_kind(op, report) == "k" for op in groups)
    text = f"{kept} kept in fp32 by choice" if kept else "none kept in fp32 by choice"
    return Card("groups in int8", f"{int8} of {len(groups)}", text)


def _cost(report: Report) -> Card:
    search = report.search
    text = f"{count(search.trials, 'trial')} in {duration(search.seconds)}, {search.strategy}"
    return Card("full evaluations", f"{search.full_evaluations:.4g}", text)


def remarks(report: Report) -> list[str]:
    """Return what limits the result, in sentences."""
    search, latency = report.search, report.latency_ms
    found = []
    if not search.complete:
        found.append(
            "The search is not finished: this is the state so far. The same tune command continues "
            "it, and latency is compared at its end."
        )
    if report.accuracy.checked and report.accuracy.met is False:
        found.append("The model does not meet the accuracy bar; its file name says so.")
    if search.complete and not report.accuracy.checked:
        found.append("Accuracy was not checked: everything that can be is int8.")
    interval = report.accuracy.interval
    if report.accuracy.certainty and interval is not None and interval.verdict != "supported":
        found.append(f"Certainty of the bar: {report.accuracy.certainty}.")
    if report.ops and not any(op.precision == "int8" for op in report.ops):
        found.append("No op runs in int8: the network of this report computes in fp32 throughout.")
    if latency.slower_than_fp32:
        found.append(
            "On the machine of this report the int8 model is slower than fp32: use it for its size "
            "only, or keep fp32."
        )
    if latency.noise is not None and not latency.noise.quiet:
        found.append(latency.noise.remark)
    if search.strategy_requested and search.strategy not in ("", search.strategy_requested):
        found.append(
            f"Strategy {search.strategy_requested} was asked for; {search.strategy} was used."
        )
    failed = sum(bool(trial.error) for trial in search.history)
    if failed:
        found.append(f"{count(failed, 'trial')} could not be evaluated; the table says why.")
    return found


def shipped(report: Report) -> int | None:
    """Return the index of the trial whose model the report describes, or None."""
    same = (trial for trial in report.search.history if trial.config == report.config)
    matches = [trial.index for trial in same if trial.score == report.accuracy.int8]
    if report.search.shipped is not None:
        return report.search.shipped
    return matches[0] if matches else None


def op_rows(report: Report) -> list[OpRow]:
    """Return all ops with their kinds, in the report's order."""
    return [OpRow(i, op, _kind(op, report)) for i, op in enumerate(report.ops, 1)]


def _kind(op: OpEntry, report: Report) -> str:
    if op.precision == "int8":
        return "q" if op.group else "m"
    return "k" if op.group in report.kept else "f"


def kind_counts(rows: list[OpRow]) -> list[tuple[str, str, int]]:
    """Return (kind, its meaning, number of ops), without kinds that no op has."""
    counts = Counter(row.kind for row in rows)
    return [(kind, text, counts[kind]) for kind, text in KINDS.items() if counts[kind]]


def group_rows(report: Report) -> list[GroupRow]:
    """Return the groups of which something was learnt, the most sensitive or slowest first."""
    sensitivity = report.search.sensitivity
    latency = report.search.latency_map.groups if report.search.latency_map is not None else {}
    precision = {op.group: op.precision for op in report.ops if op.name == op.group}
    most = max((abs(value) for value in sensitivity.values()), default=0.0)
    times = [time for one in latency.values() for time in (one.int8, one.fp32)]
    longest = max(times, default=0.0)
    rows = []
    for name in dict.fromkeys((*sensitivity, *latency)):
        known = latency.get(name)
        harm = sensitivity.get(name)
        int8, fp32 = (known.int8, known.fp32) if known is not None else (None, None)
        rows.append(
            GroupRow(
                name=name,
                precision=precision.get(name, ""),
                sensitivity=harm,
                int8=int8,
                fp32=fp32,
                sensitivity_width=_width(harm, most),
                int8_width=_width(int8, longest),
                fp32_width=_width(fp32, longest),
            )
        )
    return sorted(rows, key=lambda row: (-(row.sensitivity or 0.0), -(row.fp32 or 0.0)))


def _width(value: float | None, longest: float) -> float:
    return round(100 * max(value or 0.0, 0.0) / longest, 1) if longest > 0 else 0.0


def groups_absent(report: Report) -> str:
    """Return what of sensitivity and latency of groups the report lacks, or an empty string."""
    search = report.search
    missing = [
        name
        for name, known in (("sensitivity", search.sensitivity), ("latency", search.latency_map))
        if not known
    ]
    if not missing:
        return ""
    if not search.complete:
        return (
            f"No {' and no '.join(missing)} of single groups is known yet: "
            "the report at the end of the run has what the search needed."
        )
    return (
        f"This run recorded no {' and no '.join(missing)} of single groups. A search measures them "
        "only when plain int8 misses the bar, or its strategy needs them."
    )


def instruction_sets(report: Report) -> list[tuple[str, bool | None, str]]:
    """Return (name, whether the model is exact there or None, remark)."""
    given = report.instruction_sets or report.exact_on.instruction_sets
    return [_instruction_set(name, value) for name, value in given.items()]


def _instruction_set(name: str, value: Any) -> tuple[str, bool | None, str]:
    if isinstance(value, bool):
        return name, value, "" if value else "8-bit weights may saturate"
    if not isinstance(value, Mapping):
        return name, None, str(value)
    exact = value.get("exact")
    # Names of groups fill pages; they are in the report.
    shown = [(k, v) for k, v in value.items() if k != "exact" and not isinstance(v, list | tuple)]
    words = (f"{key.replace('_', ' ')}: {item}" for key, item in shown)
    return name, exact if isinstance(exact, bool) else None, "; ".join(words)


def megabytes(size: float | None) -> str:
    """Return a size in megabytes, as text."""
    return "–" if size is None else f"{size / 1e6:.2f} MB"


def duration(seconds: float) -> str:
    """Return a time as text, such as ``7.2 s`` or ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str) -> str:
    """Return a number of things, such as ``2 trials``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
