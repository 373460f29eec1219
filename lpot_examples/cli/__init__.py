"""The command line: one file per command, and the only code that prints.

Frameworks are imported by the commands' bodies, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal
import sys

import typer

from lpot_examples.cli import benchmark, tune
from lpot_examples.errors import LpotError

app = typer.Typer(
    name="lpot_examples",
    help="Post-training quantization tuning for CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tune.register(app)
benchmark.register(app)


@app.callback()
def _group() -> None:
    """Post-training quantization tuning for CPUs."""


def main() -> None:
    """Run the command line; a user's mistake ends in one message and a non-zero exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except LpotError as error:
        from lpot_examples.cli.console import messages

        messages().print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        from lpot_examples.cli.console import messages

        messages().print("stopped.", style="red")
        sys.exit(130)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
