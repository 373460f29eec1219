"""How a run was started, for whoever wants to repeat it."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path


def run_facts() -> dict[str, str]:
    """Return the command line of this process and the present time (UTC)."""
    return {"command": command_line(sys.argv), "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}


def command_line(arguments: list[str]) -> str:
    """Return a command line as one would type it.

    Of programs that are not this project's the arguments are left out: they may be secrets, and
    reports are passed on.

    Args:
        arguments: As in ``sys.argv``.
    """
    program = Path(arguments[0] if arguments else "")
    if program.name == "__main__.py" and program.parent.name == "lpot_examples":
        return shlex.join(["python", "-m", "lpot_examples", *arguments[1:]])
    if program.name in ("lpot_examples", "lpot_examples.exe"):
        return shlex.join(["lpot_examples", *arguments[1:]])
    return shlex.join(["python", program.name]) if program.name else "python"
