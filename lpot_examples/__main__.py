"""``python -m lpot_examples``."""

from lpot_examples.cli import main

main()
