"""The ``report`` command: makes the page of a run again, also of one that has not ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lpot_examples.errors import LpotError

_HELP = (
    "Make the page of a tuning run again, and print its summary.\n\n"
    "PLACE is a ….report.json, a workspace or its journal. Of a run that was interrupted or still "
    "runs, the page shows the trials so far."
)

_EXAMPLES = """Examples:

  lpot_examples report lpot_workspace/ssd_shapes-9bd84fc6

  lpot_examples report fastestdet-int8.report.json --output=report.html

  lpot_examples report --topology=ssd_shapes
"""

_PARTIAL = "progress.report.html"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report", help=_HELP, epilog=_EXAMPLES)(report_command)


def report_command(
    place: Annotated[
        Path | None,
        typer.Argument(metavar="PLACE", help="A report file, a workspace or a journal."),
    ] = None,
    *,
    topology: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="In place of PLACE: the latest run of a topology, from here."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. (default: beside the report)"),
    ] = None,
) -> None:
    """Make the page of a tuning run again, and print its summary."""
    from lpot_examples.cli.report_tables import print_summary
    from lpot_examples.report.page import write_page

    if (place is None) == (not topology):
        raise LpotError(
            "give one of PLACE (a ….report.json or a workspace) and --topology, such as "
            "report --topology=ssd_shapes."
        )
    report, page = _find(place if place is not None else _latest(topology))
    page = output or page
    write_page(report, page)
    print_summary(report, page)


def _find(place: Path) -> tuple[dict[str, Any], Path]:
    """Return the report of a place, and where its page goes."""
    from lpot_examples.report.document import read_report

    if place.is_dir():
        return _of_journal(place / "journal.jsonl")
    if not place.exists():
        raise LpotError(f"{place} does not exist; give a ….report.json or a workspace.")
    if place.suffix == ".jsonl":
        return _of_journal(place)
    return read_report(place), place.with_suffix(".html")


def _of_journal(journal: Path) -> tuple[dict[str, Any], Path]:
    """Return the report of a workspace: the one that its run wrote, or what its journal holds."""
    from lpot_examples.cli.console import messages
    from lpot_examples.report.document import read_report
    from lpot_examples.report.partial import ending, report_from_journal
    from lpot_examples.workspace import report_path

    if not journal.is_file():
        raise LpotError(
            f"{journal.parent} holds no journal of a run; give the folder that the tune command "
            "named as its workspace, or a ….report.json."
        )
    end = ending(journal)
    if end is not None:
        written = _written(Path(end["model"]), journal.parent)
        if written is not None:
            return read_report(written), written.with_suffix(".html")
        messages().print(
            f"the run wrote {report_path(Path(end['model']))}, which is not here; this is what "
            "its journal says.",
            soft_wrap=True,
        )
    return report_from_journal(journal), journal.parent / _PARTIAL


def _written(model: Path, workspace: Path) -> Path | None:
    """Return the report of a result, whose path may be relative to where the run was started."""
    from lpot_examples.workspace import report_path

    places = (report_path(model), report_path(workspace / model.name))
    return next((path for path in places if path.is_file()), None)


def _latest(topology: str) -> Path:
    """Return the workspace of a topology's latest run in the current directory."""
    from lpot_examples.spec import load_spec
    from lpot_examples.workspace import DEFAULT_ROOT, default_name
    from lpot_examples.zoo.topologies import find_topology

    spec = load_spec(find_topology(topology).spec_path)
    if spec.tuning.workspace.path is not None:
        return Path(spec.tuning.workspace.path)
    journals = DEFAULT_ROOT.glob(f"{default_name(spec.model.name)}-*/journal.jsonl")
    found = sorted(journals, key=lambda path: path.stat().st_mtime)
    if not found:
        raise LpotError(
            f"no run of {topology} is in {DEFAULT_ROOT}/; tune it first, or give its workspace."
        )
    return found[-1].parent
