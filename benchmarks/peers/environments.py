"""Virtual environments for peers, made when first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

OWN = "own"
"""The name of the environment that this program itself runs in."""

_HERE = Path(__file__).resolve().parent
_COMPLETE = ".complete"


def requirements(name: str) -> Path:
    """Return the file that lists what an environment holds."""
    if name == OWN:
        return _HERE.parents[1] / "requirements.txt"
    return _HERE / f"requirements-{name}.txt"


def python(name: str, work: Path) -> Path:
    """Return the interpreter of an environment; made at the first call (minutes, 3 GB).

    Args:
        name: `OWN`, or a requirements file's name without ``requirements-`` and ``.txt``.
        work: The folder that holds the environments.

    Raises:
        SystemExit: If pip fails, with the end of what it said, or there is no such Python.
    """
    if name == OWN:
        return Path(sys.executable)
    listed = requirements(name)
    base, version = _base(name)
    digest = hashlib.sha256(_content(listed) + version.encode()).hexdigest()[:10]
    folder = work / "environments" / f"{name}-{digest}"
    interpreter = folder / "bin" / "python"
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"Making the environment {folder} (once; about 700 MB download)…", flush=True)
        _run([str(base), "-m", "venv", str(folder)])
        _run([str(interpreter), "-m", "pip", "install", *_OPTIONS, "-r", str(listed)])
        (folder / _COMPLETE).touch()
    return interpreter


def _base(name: str) -> tuple[Path, str]:
    """Return the Python that an environment is made with, and its version."""
    wanted = _PYTHON.get(name)
    if wanted is None:
        return Path(sys.executable), sys.version
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = shutil.which(f"python{wanted}")
    for one in (
        *([found] if found else []),
        *sorted(pyenv.glob(f"versions/{wanted}.*/bin/python")),
    ):
        code = "import sys; print(sys.version)"
        done = subprocess.run([str(one), "-c", code], capture_output=True, text=True, check=False)
        if not done.returncode:  # a shim of pyenv may stand for nothing
            return Path(one), done.stdout.strip()
    sys.exit(f"needs Python {wanted}, which is not installed")


def _content(listed: Path) -> bytes:
    """Return a requirements file with those that it includes."""
    content = listed.read_bytes()
    for line in listed.read_text().splitlines():
        if line.startswith("-r "):
            content += _content(listed.parent / line.removeprefix("-r ").strip())
    return content


_PYTHON = {"inc26": "3.10"}
"""The Python of environments that this one cannot make."""

_OPTIONS = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        sys.exit(f"{' '.join(command)} failed with exit code {done.returncode}:\n{said}")
