"""Never a slower model: if int8 does not pay on this host, the fp32 network is the result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from lpot_examples.errors import OutputError
from lpot_examples.report.build import Outcome, build_report
from lpot_examples.report.publish import publish
from lpot_examples.workspace import replacing


def ship_faster(outcome: Outcome, slower: Path) -> Outcome:
    """Return the outcome to report: with fp32 in the place of an int8 model that is slower.

    Only what the comparison shows counts: where its interval includes 1, int8 stays. A model that
    misses the bar stays, too; its name says that it is no result.

    Args:
        outcome: The outcome, its model in place and its latency compared.
        slower: Where to keep the int8 model.

    Raises:
        OutputError: If a file cannot be written.
    """
    missed = outcome.best is not None and not outcome.best.met
    if outcome.latency is None or outcome.source is None or missed:
        return outcome
    if outcome.latency.speedup("int8").interval.high >= 1:
        return outcome
    try:
        with replacing(slower) as temporary:
            shutil.copyfile(outcome.model, temporary)
    except OSError as error:
        raise OutputError(
            f"int8 is slower than fp32 here, and the int8 model cannot be kept as {slower}: "
            f"{error.strerror}. Make room or choose another place; {outcome.model} is int8."
        ) from error
    shipped = replace(outcome, slower=slower)
    publish(outcome.source, outcome.model, lambda: build_report(shipped))
    return shipped
