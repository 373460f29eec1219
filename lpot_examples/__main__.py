"""``python -m lpot_examples``."""

import signal
import sys


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


try:
    signal.signal(signal.SIGTERM, _stop)
    from lpot_examples.cli import main
except KeyboardInterrupt:  # before the command line is up
    sys.stderr.write("stopped.\n")
    sys.exit(130)

main()
