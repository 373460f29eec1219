#!/usr/bin/env python3
"""Download the network of a topology: python prepare_model.py --model_name=ssd_mobilenet_v1.

Makes .venv at the first run; --no-venv uses the active environment. --help lists the options.
Any Python 3 can run this file: it only starts the command in the right environment.
"""

import os
import sys
from pathlib import Path

_COMMAND = """
set -euo pipefail
. "$1"
shift
use_environment runtime "$@"
exec "$python" -P -m lpot_examples prepare_model ${arguments[@]+"${arguments[@]}"}
"""


def main() -> None:
    """Replace this process by the command."""
    environment = Path(__file__).resolve().parent / "scripts" / "environment.sh"
    arguments = ["bash", "-c", _COMMAND, "prepare_model.py", str(environment), *sys.argv[1:]]
    try:
        os.execvp(arguments[0], arguments)
    except FileNotFoundError:
        sys.exit("error: bash is required to set up .venv; install it.")


if __name__ == "__main__":
    main()
