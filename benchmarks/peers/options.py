"""Command-line options that the benchmarks beside peers share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names, each of them a known one."""

    def parse(text: str) -> list[str]:
        found = [name for name in text.split(",") if name]
        unknown = [name for name in found if name not in known]
        if unknown or not found:
            wrong = ", ".join(unknown) or text
            raise argparse.ArgumentTypeError(f"'{wrong}' is none of {', '.join(known)}")
        return found

    return parse
