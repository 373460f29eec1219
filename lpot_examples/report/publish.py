"""Puts a tuned model and its report, as JSON and as a page, in place together."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lpot_examples.errors import OutputError
from lpot_examples.report.build import write_report
from lpot_examples.report.page import write_page
from lpot_examples.workspace import page_path, replacing, report_path


def publish(model: Path, target: Path, report: Callable[[], dict[str, Any]]) -> None:
    """Copy a model to where the user wants it, and write its report beside it.

    The report of an older model of that name goes first, so that at no moment a report lies beside
    a model that it does not describe.

    Args:
        model: The file to copy, byte for byte.
        target: Where to; an older model is replaced at once, or stays if there is no room.
        report: Makes the report, once the model is in place.

    Raises:
        OutputError: If one of them cannot be written.
    """
    try:
        with replacing(target) as temporary:
            shutil.copyfile(model, temporary)
            for described in (page_path(target), report_path(target)):
                described.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write the model to {target}: {error.strerror}. It is kept as {model}."
        ) from error
    write_reports(report(), target)


def write_reports(report: dict[str, Any], model: Path) -> None:
    """Write the report of a model beside it, as JSON and as a page.

    Raises:
        OutputError: If one of them cannot be written.
    """
    write_report(report, report_path(model))
    write_page(report, page_path(model))


def remove_pair(model: Path) -> None:
    """Remove a model that was superseded, with its report."""
    for path in (page_path(model), report_path(model), model):
        with contextlib.suppress(OSError):  # its name says what it is; it may stay
            path.unlink(missing_ok=True)
