"""Prints what a tuning run ended with."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lpot_examples.cli.console import results
from lpot_examples.cli.report_tables import artifacts_table, metric_rows, trials_table
from lpot_examples.report import view
from lpot_examples.report.document import Report, parse_report
from lpot_examples.workspace import page_path

if TYPE_CHECKING:
    from lpot_examples.conclusion import TuningResult


def print_result(result: TuningResult, *, again: Sequence[str] = ()) -> None:
    """Print accuracy, latency, size, what stays fp32 and where everything is.

    Args:
        result: The result.
        again: What a command must be given to tune another form of the network.
    """
    from rich.table import Table

    report, console = result.report, results()
    table = Table(title=f"{report['model']['name']}: {_verdict(result)}", title_style="bold")
    for column, justify in (("", "left"), ("fp32", "right"), ("int8", "right"), ("", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    data = parse_report(report)
    for row in (*_accuracy(report), *_latency(report), _size(report), *_memory(data)):
        table.add_row(*row)
    console.print(table)
    if len(data.artifacts) > 1:
        console.print(artifacts_table(data))
    if len(data.search.history) > 1 or result.met is False:
        console.print(trials_table(data))
    _print_details(report, data, result)
    for artifact in data.artifacts[1:]:
        if artifact.met is False and artifact.source and artifact.path:
            # Under another name: the report of that run lies beside its result, too.
            name = f"{result.path.stem.removesuffix('.not-certified')}-{artifact.runtime}"
            target = result.path.with_name(f"{name}.{artifact.form}")
            given = [*again, f"--input_model={artifact.source}", f"--output_model={target}"]
            _say(f"to meet the bar with .{artifact.form}, tune that form of the network itself:")
            _say(f"  {shlex.join(['bash', 'run_tuning.sh', *given])}")


def _verdict(result: TuningResult) -> str:
    if result.met is None:
        return "accuracy NOT checked"
    if result.report["model"]["precision"] == "fp32":
        return "fp32 is the result, int8 is slower here"
    return "the accuracy bar is met" if result.met else "the accuracy bar is NOT met"


def _accuracy(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    accuracy = report["accuracy"]
    if not accuracy["checked"]:
        return [("accuracy", "-", "-", "not checked")]
    if len(accuracy["metrics"]) > 1:
        return metric_rows(parse_report(report).accuracy)
    loss, unit = accuracy["drop_absolute"], ""
    if accuracy["drop_relative"] is not None:
        loss, unit = 100 * accuracy["drop_relative"], " %"
    lost = f"{abs(loss):.{2 if unit else 4}f}{unit} {'gained' if loss < 0 else 'lost'}"
    remark = f"{lost}; bar: {accuracy['criterion']['text']}"
    return [(accuracy["metric"], f"{accuracy['fp32']:.4f}", f"{accuracy['int8']:.4f}", remark)]


def _latency(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    latency = report["latency_ms"]
    if not latency["measured"]:
        return []
    rows = []
    for name in ("p50", "p90", "p99"):
        fp32, int8 = latency["fp32"][name], latency["int8"][name]
        remark = ""
        if name == "p50":
            word = "about as fast as fp32"
            if latency["slower_than_fp32"]:
                word = "SLOWER than fp32"
            elif latency["faster_than_fp32"]:
                word = "faster"
            remark = f"{latency['speedup']:.2f}x, {word}; batch {latency['batch_size']}"
        rows.append((f"latency {name}, ms", f"{fp32:.2f}", f"{int8:.2f}", remark))
    return rows


def _size(report: dict[str, Any]) -> tuple[str, str, str, str]:
    sizes = report["size_bytes"]
    fp32 = f"{sizes['fp32'] / 1e6:.2f}" if sizes["fp32"] else "-"
    return ("size, MB", fp32, f"{sizes['int8'] / 1e6:.2f}", "")


def _memory(report: Report) -> list[tuple[str, str, str, str]]:
    """Return the peak memory of the int8 model, where the search measured it."""
    size = view.peak_memory(report)
    return [] if size is None else [("peak memory, MB", "-", f"{size / 1e6:.2f}", "")]


def _count(number: float, noun: str) -> str:
    return f"{number:.4g} {noun}{'' if number == 1 else 's'}"


def _objective(search: dict[str, Any]) -> str:
    """Return what the search made small, unless that is latency alone."""
    objective = search["objective"]
    return "" if objective["names"] == ["performance"] else f"; objective: {objective['text']}"


def _say(text: str) -> None:
    results().print(text, soft_wrap=True)


def _print_details(report: dict[str, Any], data: Report, result: TuningResult) -> None:
    host, search = report["host"], report["search"]
    say = _say
    groups = Counter(op["precision"] for op in report["ops"] if op["name"] == op["group"])
    say(
        f"search: {_count(search['trials'], 'trial')}, "
        f"{_count(search['full_evaluations'], 'full evaluation')}, "
        f"{search['seconds']:.1f} s; groups: {groups['int8']} int8, {groups['fp32']} fp32"
        f"{_objective(search)}"
    )
    if report["accuracy"].get("certainty"):
        say(f"accuracy: {report['accuracy']['certainty']}.")
    onednn = "on" if host["onednn"] else "off"
    say(f"host: {host['cpu']}, {host['isa']}, {host['threads']} threads, oneDNN {onednn}")
    elsewhere = report["exact_on"]
    unsafe = [name for name, exact in elsewhere["instruction_sets"].items() if not exact]
    if unsafe:
        many = elsewhere["groups_that_may_saturate_elsewhere"]
        say(
            f"note: 8-bit weights of {_count(many, 'group')} may saturate on CPUs of "
            f"{', '.join(unsafe)}; for these, tune "
            f"with {'' if report['engine'] == 'lpot' else '--engine=lpot '}--target_isa=avx2."
        )
    noise = report["latency_ms"].get("noise")
    if noise is not None and not noise["quiet"]:
        say(f"note: {noise['remark']}")
    if report["model"]["precision"] == "fp32":
        say(
            "note: on this machine int8 is SLOWER than fp32, so the result is the fp32 network as "
            f"given; the int8 model is kept as {report['model']['slower_int8']}."
        )
    elif report["latency_ms"].get("slower_than_fp32"):
        say("note: on this machine the int8 model is SLOWER than fp32.")
    for artifact in data.artifacts[1:]:
        for remark in artifact.remarks():
            say(f"note: {remark}")
    say(f"model:  {result.path}")
    for artifact in data.artifacts[1:]:
        if artifact.path:
            say(f"        {artifact.path}")
    say(f"report: {result.report_path}")
    say(f"page:   {page_path(result.path)}")
