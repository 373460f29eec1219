"""Processes of this package that may crash: how they are started, and how their end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import lpot_examples

_TAIL_LINES = 15
_TAIL_BYTES = 1 << 16

_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def start(
    module: str,
    *arguments: str,
    stderr: IO[bytes],
    environment: Mapping[str, str],
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a module of this package with this Python.

    It gets a session of its own, so that Ctrl-C reaches only this process, which then ends it.

    Args:
        module: Its full name.
        arguments: Command-line arguments.
        stderr: Where its standard error goes.
        environment: Variables beside those of this process.
        options: Further arguments of `subprocess.Popen`.
    """
    package_parent = str(Path(lpot_examples.__file__).parent.parent)
    search_path = [package_parent, os.environ.get("PYTHONPATH", "")]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, search_path)),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stderr=stderr,
        env=variables,
        start_new_session=True,
        **options,
    )


def how_it_ended(code: int) -> str:
    """Return an exit code in words, such as ``was ended by SIGSEGV``."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"was ended by signal {-code}"


def last_messages(stderr: IO[bytes]) -> str:
    """Return the last lines of a process's standard error to append to a message; or nothing."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines: Sequence[str] = stderr.read().decode(errors="replace").strip().splitlines()
    if not lines:
        return ""
    return "\nIts last messages:\n" + "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])


def end_with(parent: int) -> None:
    """Have this process killed as soon as its parent has ended, by ``kill -9`` too.

    To be called by the child. On Linux the kernel does it, whatever the child is doing. What it
    calls the parent is the thread that started the child. Elsewhere nothing is done.

    Args:
        parent: The process id that the parent had when it started this one.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)
