"""What this engine needs of the environment, checked before any time is spent."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata

from lpot_examples.errors import LpotError
from lpot_examples.host import onednn_enabled

PACKAGE = "neural-compressor-tf"
RANGE = ">=3.10,<3.11"

# Neural Compressor imports pkg_resources, which later versions of setuptools lack.
_SETUPTOOLS = "setuptools<82"


def check_requirements() -> str:
    """Return the version of Neural Compressor.

    Raises:
        LpotError: If it is not installed, or TensorFlow cannot run its networks here.
    """
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise LpotError(
            f"the engine neural_compressor needs the package {PACKAGE}, which {sys.executable} "
            f"does not have. Run {_install_command()}; run_tuning.sh does so by itself in .venv."
        ) from None
    if importlib.util.find_spec("pkg_resources") is None:
        raise LpotError(
            f"{PACKAGE} {version} imports pkg_resources, which the setuptools of {sys.executable} "
            f"no longer has. Run {_install_command()}."
        )
    if not onednn_enabled():
        raise LpotError(
            "Neural Compressor's int8 networks need TensorFlow's oneDNN ops, which are off here. "
            "Set TF_ENABLE_ONEDNN_OPTS=1, for this command and wherever the result shall run; or "
            "use --engine=lpot, whose networks run with and without them."
        )
    return version


def _install_command() -> str:
    return f'\'{sys.executable} -m pip install "{PACKAGE}{RANGE}" "{_SETUPTOOLS}"\''
