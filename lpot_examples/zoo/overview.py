"""The table of topologies with a public network, as documents show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lpot_examples.errors import DataError
from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.topologies import Topology

_HEADINGS = ("topology", "network", "input", "source", "published fp32")
_ABOUT = frozenset({"measured_on", "source", "network"})  # what a published figure comes with


def markdown_table(topologies: Mapping[str, Topology], *, root: str) -> str:
    """Return a table of the catalogue's networks, by task and in the catalogue's order.

    Args:
        topologies: The folders, by name; their ``expected.json`` holds the published figures.
        root: What links to the folders begin with, such as ``../``; ends with a slash or is empty.

    Raises:
        DataError: If an ``expected.json`` cannot be read.
    """
    lines = [f"| {' | '.join(_HEADINGS)} |", f"|{' --- |' * len(_HEADINGS)}"]
    for model in CATALOGUE.values():
        topology = topologies[model.name]
        link = f"[{model.name}]({root}{topology.domain}/{model.name}/README.md)"
        cells = (link, model.title, _input(model), _source(model), _published(topology))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _input(model: ZooModel) -> str:
    if model.image_size is None:
        return "any size, uint8"
    classes = 1001 if model.background else 1000
    return f"{model.image_size}×{model.image_size}, {classes} classes"


def _source(model: ZooModel) -> str:
    if model.application:
        return f"[`{model.source}`](https://keras.io/api/applications)"
    return f"[{model.source}]({model.url})"


def _published(topology: Topology) -> str:
    """Return the published figures of a folder, or a dash."""
    published = _expected(topology).get("published") or {}
    figures = [f"{name} {value:g}" for name, value in published.items() if name not in _ABOUT]
    return ", ".join(figures) or "–"


def _expected(topology: Topology) -> dict[str, Any]:
    file = topology.folder / "expected.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} must be JSON: {error}. Restore it.") from None
    return content
