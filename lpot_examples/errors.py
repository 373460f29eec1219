"""The errors a user can meet, each with the exit code of the command that meets it.

A message says what was required, what came and what to do. Commands print the message alone;
a traceback means a defect of this project.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class LpotError(Exception):
    """Base of every error caused by a user's input or machine rather than by a defect here."""

    exit_code = 1


class SpecError(LpotError):
    """The yaml tuning spec cannot be used.

    Args:
        message: What was required, what came and what to do.
        path: The file, where there is one.
        line: The 1-based line of the offending key or value.
    """

    def __init__(self, message: str, *, path: Path | str | None = None, line: int | None = None):
        where = "" if path is None else f"{path}:{line}: " if line else f"{path}: "
        super().__init__(where + message)
        self.path = path
        self.line = line


class ModelError(LpotError):
    """The network cannot be read, or lacks the inputs or outputs that were named."""


class DataError(LpotError):
    """The dataset is missing or inconsistent, or the dataloader yields what the model rejects."""


class EvaluationError(LpotError):
    """The evaluation function raised, or returned something that is not a finite score."""


class EmitError(LpotError):
    """A network cannot be made of one configuration; of another it may."""


class OutputError(LpotError):
    """A result cannot be written."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest valid name, or an empty string.

    Args:
        name: What the user wrote.
        valid: The names that would have been accepted.
    """
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
