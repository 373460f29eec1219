"""Makes the page that people look at: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import OutputError
from lpot_examples.report import charts, view
from lpot_examples.report.document import parse_report
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
    return _template().render(
        r=data,
        verdict=view.verdict(data),
        cards=view.cards(data),
        remarks=view.remarks(data),
        loss_text=view.loss_text(data),
        loss=charts.loss_line(data),
        plot=charts.trial_plot(data, winner),
        winner=winner,
        groups=view.group_rows(data),
        charted=view.CHARTED_GROUPS,
        groups_absent=view.groups_absent(data),
        ops=rows,
        kinds=view.kind_counts(rows),
        instruction_sets=view.instruction_sets(data),
    )


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
    environment.filters.update(mb=view.megabytes, json=_json)
    return environment.get_template("report.html")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
