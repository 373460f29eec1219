"""Two questions of environment.sh about a Python environment; uses the standard library alone.

``environment.py stamp FILE...`` prints the stamp of a complete .venv for these requirements files,
``environment.py missing FILE...`` the direct requirements that cannot be imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

# Requirements whose module has another name. Modules are looked for, not distributions, because
# tensorflow-cpu, for example, provides tensorflow as well.
MODULES = {
    "google-crc32c": "google_crc32c",
    "neural-compressor-tf": "neural_compressor",
    "pillow": "PIL",
    "pytest-xdist": "xdist",
    "scikit-learn": "sklearn",
}


def stamp(files: list[Path]) -> str:
    """Return a line that changes with the Python version and the content of the files."""
    content = b"\0".join(file.read_bytes() for file in files)
    version = ".".join(map(str, sys.version_info[:2]))
    return f"python {version}, requirements {hashlib.sha256(content).hexdigest()}"


def missing(files: list[Path]) -> str:
    """Return the direct requirements that cannot be imported here, separated by spaces."""
    return " ".join(
        requirement
        for file in files
        for requirement in direct_requirements(file)
        if not _importable(requirement.partition("==")[0])
    )


def direct_requirements(file: Path) -> Iterator[str]:
    """Yield ``name==version`` up to the part of the file that lists what these need in turn."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# Needed by"):
            return
        requirement = line.partition("#")[0].strip()
        if requirement:
            yield requirement


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(MODULES.get(name, name)) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False


if __name__ == "__main__":
    answer = {"stamp": stamp, "missing": missing}[sys.argv[1]]
    print(answer([Path(name) for name in sys.argv[2:]]))
