"""The catalogue of networks as a table."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.cli.console import results
from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.prepare import present


def print_catalogue(folder: Path) -> None:
    """Print every network, and whether it is here.

    Args:
        folder: Where networks are kept.
    """
    from rich.table import Table

    table = Table(title=f"Networks that prepare_model.py can bring to {folder}/")
    table.add_column("--model_name", no_wrap=True)
    table.add_column("network")
    table.add_column("MB", justify="right")
    for heading in ("checksum published by", "licence", "here"):
        table.add_column(heading)
    for model in CATALOGUE.values():
        here = present(model, folder)
        table.add_row(
            model.name,
            model.title,
            _megabytes(model),
            model.checksum_source or "– (recorded)",
            model.licence,
            "yes" if here else "",
        )
    results().print(table)


def _megabytes(model: ZooModel) -> str:
    if model.size is not None:
        return f"{model.size / 1e6:.0f}"
    if model.megabytes is not None:
        return f"{model.megabytes * 2**20 / 1e6:.0f}"
    return "?"
