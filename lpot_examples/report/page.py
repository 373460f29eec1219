"""Makes the page that people look at: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import OutputError
from lpot_examples.report import charts, view
from lpot_examples.report.costs import BYTES
from lpot_examples.report.document import MetricEntry, Report, parse_report
from lpot_examples.report.settings import settings
from lpot_examples.workspace import replacing

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"


def render(report: Mapping[str, Any]) -> str:
    """Return the page of a report.

    Args:
        report: JSON values, as `report.build.build_report` makes them.

    Raises:
        LpotError: If they are not a report.
    """
    data = parse_report(report)
    winner = view.shipped(data)
    rows = view.op_rows(data)
    history = data.search.history
    said, common = settings([trial.config for trial in history])
    return _template().render(
        r=data,
        verdict=view.verdict(data),
        cards=view.cards(data),
        remarks=view.remarks(data),
        bar_text=view.bar_text(data),
        losses=_losses(data),
        plot=charts.trial_plot(data, winner),
        winner=winner,
        trials=list(zip(history, said, strict=True)),
        common=common,
        costs={name: BYTES[name] for name in data.search.objective.names if name in BYTES},
        groups=view.group_rows(data),
        charted=view.CHARTED_GROUPS,
        groups_absent=view.groups_absent(data),
        ops=rows,
        kinds=view.kind_counts(rows),
        instruction_sets=view.instruction_sets(data),
    )


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """A metric's loss beside its bar: as a chart, and in words."""

    line: charts.LossLine
    metric: str
    text: str
    bar: str
    met: bool | None


def _losses(report: Report) -> list[_Loss]:
    """Return the loss of each metric; nothing if accuracy was not checked."""
    accuracy = report.accuracy
    if not accuracy.several:
        line, text, bar = charts.loss_line(report), view.loss_text(report), accuracy.criterion.text
        name = accuracy.metric or ""
        if line is None:
            return []
        return [_Loss(line=line, metric=name, text=text, bar=bar, met=accuracy.met)]
    return [
        _Loss(
            line=line,
            metric=one.name,
            text=_lost(one),
            bar=one.criterion.text,
            met=one.met,
        )
        for one in accuracy.metrics
        if (line := charts.metric_line(one)) is not None
    ]


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """Write the page of a report, whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    # Names may hold half a surrogate pair, which no file can.
    content = render(report).encode("utf-8", errors="replace")
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"cannot write the page {path}: {error.strerror}. Make room or choose another place."
        ) from error


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # names of ops and metrics come from files of others
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(mb=view.megabytes, json=_json, lost=_lost)
    return environment.get_template("report.html")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _lost(metric: MetricEntry) -> str:
    return view.in_words(metric.loss, metric.loss_relative, metric.criterion)
