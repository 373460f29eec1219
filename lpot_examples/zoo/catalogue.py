"""The table of networks that can be downloaded: one entry for each topology that has a source.

The entries are in `detectors` and `classifiers`; docs/models.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lpot_examples.errors import ModelError, nearest
from lpot_examples.zoo.classifiers import CLASSIFIERS
from lpot_examples.zoo.detectors import DETECTORS
from lpot_examples.zoo.entry import ZooModel

CATALOGUE: Mapping[str, ZooModel] = MappingProxyType(
    {model.name: model for model in (*DETECTORS, *CLASSIFIERS)}
)
"""Name of the topology → network."""


def find_model(name: str) -> ZooModel:
    """Return a network by name.

    Args:
        name: A key of `CATALOGUE`.

    Raises:
        ModelError: If there is none; the message lists all.
    """
    model = CATALOGUE.get(name)
    if model is None:
        raise ModelError(
            f"--model_name must be one of {', '.join(CATALOGUE)}; it is '{name}'."
            f"{nearest(name, CATALOGUE)} A network of your own needs no preparing: give its file "
            "as --input_model."
        )
    return model
