"""The command line: one file per command, and the only code that prints.

Frameworks are imported by the commands' bodies, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys

import typer

from lpot_examples.cli import benchmark, dataset, new, prepare_model, report, tune
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
report.register(app)
dataset.register(app)
new.register(app)
prepare_model.register(app)


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
    code, last_words = _run()
    _ignore_signals()  # the run is over: nothing may interrupt its end
    if last_words:
        from lpot_examples.cli.console import messages

        messages().print(last_words, style="red", soft_wrap=True)
    if code == _STOPPED:
        # At once: what was interrupted, TensorFlow's sessions say, cannot always be torn down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> tuple[int, str]:
    """Run the command; return the exit code and what is left to say."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except LpotError as error:
        stopped = error.exit_code == _STOPPED
        return error.exit_code, str(error) if stopped else f"error: {error}"
    except typer.TyperException as error:
        return 1, _usage(error)
    except KeyboardInterrupt:
        code = _STOPPED
    if code == _STOPPED:  # also Typer's way to tell of Ctrl-C
        return _STOPPED, "stopped."
    return (code if isinstance(code, int) else 0), ""


def _listen(name: str) -> None:
    """Let a signal stop the run as Ctrl-C does, unless it is ignored, as SIGHUP under nohup."""
    number = getattr(signal, name, None)  # Windows lacks SIGHUP
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _stop)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for name in ("SIGINT", *_STOPPING):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the options, and where they are listed."""
    context = getattr(error, "ctx", None)
    message = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    end = "" if message.endswith((".", "?")) else "."
    where = f" See '{context.command_path} --help'." if context is not None else ""
    return f"error: {message}{end}{where}"
