"""What the catalogue says of a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from lpot_examples.zoo.fetch.checksums import Checksum


@dataclass(frozen=True, kw_only=True)
class ZooModel:
    """A public network: where it comes from and what it takes and gives.

    Attributes:
        name: That of its topology folder.
        domain: The folder above that.
        title: The network in words.
        url: The archive; of a Keras network the file of its weights.
        member: The network's place in the archive: a frozen graph, or the folder of a SavedModel.
            Empty for a Keras network.
        application: The function of ``keras.applications`` that builds the network; empty where
            it comes in an archive.
        format: What is there once it is prepared.
        inputs: Names of its input nodes (of a SavedModel: of the signature's inputs).
        outputs: Names of its output nodes (of a SavedModel: of the signature's outputs), in order.
        preprocessing: How images reach it, by its name in `data.preprocessing`; empty where it
            takes uint8 pixels of any size as they are.
        image_size: Height and width of its input, pixels; None where any size will do.
        background: Whether it has a score for "none of them" before those of the classes.
        dataset: What it was trained on.
        size: Bytes of the download, where they are published.
        megabytes: The same, rounded, where only that is published (1 MB is 2**20 bytes).
        checksum: The published digest of the download; None where none is known. Then what the
            first download gave is recorded and later ones must agree.
        checksum_source: Who published size and checksum.
        licence: Of the weights, where it is known; else where to ask.
    """

    name: str
    domain: Literal["object_detection", "classification"]
    title: str
    url: str
    member: str = ""
    application: str = ""
    format: Literal["frozen_graph", "saved_model"] = "frozen_graph"
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    preprocessing: str = ""
    image_size: int | None = None
    background: bool = False
    dataset: Literal["coco", "imagenet"]
    size: int | None = None
    megabytes: int | None = None
    checksum: Checksum | None = None
    checksum_source: str = ""
    licence: str

    @property
    def download_name(self) -> str:
        """The name of the file that is downloaded."""
        return PurePosixPath(self.url).name

    @property
    def source(self) -> str:
        """Where it comes from, in a word or two."""
        return f"keras.applications.{self.application}" if self.application else "archive"
