"""The neutral form of an annotated image, and of what is wrong with one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

from lpot_examples.data.sources.labels import LabelMap
from lpot_examples.errors import DataError

Kind = Literal["image", "annotation", "box", "class", "duplicate"]
"""What a trouble is with: the picture, its annotation as a whole, one box, a class, an id."""

TRAIN = "train"
VALIDATION = "validation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Where the bytes of an image are: a file, or a part of one such as a tar.

    Attributes:
        path: The file.
        offset: Where the image begins, bytes.
        length: Its size, bytes; None for the whole file.
        name: What the image is called in messages, such as ``val.tar: cat.jpg``.
    """

    path: Path
    offset: int = 0
    length: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.path)

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            DataError: If the file cannot be read or ends early.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                if self.length is None:
                    return file.read()
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise DataError(
                f"The image {self} cannot be read: {error.strerror}. Restore it."
            ) from None
        if len(data) < self.length:
            raise DataError(f"{self.path} ends within {self}. Download it again.")
        return data


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """One object in an image.

    Attributes:
        box: xmin, ymin, xmax, ymax, in the units of ``frame``.
        label: The class as a number; None where its name is unknown.
        text: The name of the class.
        place: Where it is written, for messages.
        frame: The (width, height) that the box is relative to; None for the image's pixels.
        crowd: Whether it stands for many objects (COCO).
        area: Pixels of the object (COCO); None where that is not given.
        difficult: Whether it is marked as hard to recognise (VOC).
        truncated: Whether it reaches out of the image (VOC).
        view: From where it is seen (VOC's pose).
        segmentation: Polygons or run lengths as in COCO; None where there are none.
    """

    box: tuple[float, float, float, float]
    label: int | None
    text: str
    place: str
    frame: tuple[float, float] | None = None
    crowd: bool = False
    area: float | None = None
    difficult: bool = False
    truncated: bool = False
    view: str = ""
    segmentation: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedImage:
    """One image with what is known of it.

    Attributes:
        source_id: Identifies it in its data set: COCO's image id, else the file's name.
        filename: Its file name.
        content: Where its bytes are.
        size: The (width, height) in pixels that it must have; None where that is not given.
        objects: What is in it, in the order of the annotations.
        label: Its class; None where it has none.
        text: The name of its class.
        synset: The WordNet id of its class.
    """

    source_id: str
    filename: str
    content: Content
    size: tuple[int, int] | None = None
    objects: tuple[Annotation, ...] = ()
    label: int | None = None
    text: str = ""
    synset: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that was opened.

    Attributes:
        dataset: ``coco``, ``voc``, ``imagenet`` or ``folder``.
        splits: The images by split, in a fixed order; the split is empty where the layout has none.
        labels: The classes.
    """

    dataset: str
    splits: Mapping[str, tuple[AnnotatedImage, ...]]
    labels: LabelMap


def in_turns(images: Iterable[AnnotatedImage]) -> tuple[AnnotatedImage, ...]:
    """Let the classes take turns, so that the first images are of all of them."""
    columns: dict[int | None, list[AnnotatedImage]] = {}
    for image in images:
        columns.setdefault(image.label, []).append(image)
    turns = chain.from_iterable(zip_longest(*columns.values()))
    return tuple(image for image in turns if image is not None)


_HINT = "(--skip_bad leaves such out and lists them.)"


@dataclass(frozen=True)
class Trouble:
    """Something that cannot be used.

    Attributes:
        kind: What it is with.
        message: Which file and place, what was required, what came and what to do.
    """

    kind: Kind
    message: str


@dataclass
class Troubles:
    """Collects what is wrong, or stops at once.

    Attributes:
        skip: Whether to collect.
        found: What was left out.
    """

    skip: bool = False
    found: list[Trouble] = field(default_factory=list)

    def add(self, kind: Kind, message: str) -> None:
        """Note something that is left out.

        Raises:
            DataError: With the message, unless such things are to be skipped.
        """
        if not self.skip:
            said = message.endswith(_HINT)  # by a part of what is being read
            raise DataError(message if said else f"{message} {_HINT}")
        self.found.append(Trouble(kind, message))

    @contextlib.contextmanager
    def catching(self, kind: Kind) -> Iterator[None]:
        """Note a `DataError` of the block; see `add`."""
        try:
            yield
        except DataError as error:
            self.add(kind, str(error))
