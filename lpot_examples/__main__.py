"""``python -m lpot_examples``."""

import sys

try:
    from lpot_examples.cli import main
except KeyboardInterrupt:  # Ctrl-C before the command line is up
    print("stopped.", file=sys.stderr)
    sys.exit(130)

main()
