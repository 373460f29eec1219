"""The command line: one file per command, and the only code that prints.

Frameworks are imported by the commands' bodies, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal
import sys

import typer

from lpot_examples.cli import benchmark, tune
from lpot_examples.errors import LpotError

_STOPPED = 130
_STOPPING = ("SIGTERM", "SIGHUP")

app = typer.Typer(
    name="lpot_examples",
    help="Post-training quantization tuning for CPUs.",
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
    """Run the command line; a user's mistake ends in one message and a non-zero exit code.

    Exit code 2 says that the accuracy bar was missed, so wrong options end with 1, as any run that
    could not be done.
    """
    for name in _STOPPING:
        _listen(name)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if code == _STOPPED:  # how Typer tells of Ctrl-C
            _say("stopped.")
    except LpotError as error:
        code = error.exit_code
        _say(f"error: {error}")
    except typer.TyperException as error:
        code = 1
        _say(_usage(error))
    except KeyboardInterrupt:
        code = _STOPPED
        _say("stopped.")
    sys.exit(code if isinstance(code, int) else 0)


def _listen(name: str) -> None:
    """Let a signal stop the run as Ctrl-C does, unless it is ignored, as SIGHUP under nohup."""
    number = getattr(signal, name, None)  # Windows lacks SIGHUP
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _stop)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    """Print the last words; from here on nothing may interrupt the end."""
    for name in ("SIGINT", *_STOPPING):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    from lpot_examples.cli.console import messages

    messages().print(text, style="red", soft_wrap=True)


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the options, and where they are listed."""
    context = getattr(error, "ctx", None)
    message = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    end = "" if message.endswith((".", "?")) else "."
    where = f" See '{context.command_path} --help'." if context is not None else ""
    return f"error: {message}{end}{where}"
