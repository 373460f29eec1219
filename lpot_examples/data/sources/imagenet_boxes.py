"""The boxes of ImageNet's images, as xml or as the csv that TensorFlow's tools make of it."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

from lpot_examples.data.sources.annotated import Annotation, Troubles
from lpot_examples.data.sources.labels import Label, LabelMap
from lpot_examples.data.sources.voc_xml import read_xml
from lpot_examples.errors import DataError


class Boxes:
    """Boxes by image.

    Args:
        place: A folder of xml (any depth), or a csv of lines ``file, xmin, ymin, xmax, ymax`` as
            fractions of the image; None for no boxes.
        classes: The classes, by which boxes of other synsets than the image's are numbered.
        troubles: Told of boxes that cannot be used.

    Raises:
        DataError: If the folder holds no xml, or the csv cannot be read.
    """

    def __init__(self, place: Path | None, classes: LabelMap, troubles: Troubles) -> None:
        self._classes = classes
        self._troubles = troubles
        self._files: dict[str, Path] = {}
        self._rows: dict[str, list[Annotation]] = {}
        if place is None:
            return
        if place.is_dir():
            self._files = {path.stem: path for path in sorted(place.rglob("*.xml"))}
            if not self._files:
                raise DataError(f"{place} must hold ImageNet's boxes as xml; it holds none.")
        else:
            self._read(place)

    def of(self, filename: str, label: Label) -> tuple[Annotation, ...]:
        """Return the boxes in an image of a class."""
        stem = Path(filename).stem
        if stem in self._files:
            with self._troubles.catching("annotation"):
                file = read_xml(self._files[stem], self._troubles)
                return tuple(self._numbered(item, label, file.size) for item in file.objects)
            return ()
        return tuple(self._numbered(item, label, (1, 1)) for item in self._rows.get(stem, ()))

    def _numbered(
        self, item: Annotation, label: Label, frame: tuple[int, int] | None
    ) -> Annotation:
        # The xml's size is not always the image's: boxes are relative to it.
        own = self._classes.by_synset.get(item.text, label)
        return replace(item, label=own.number, text=own.name, frame=frame)

    def _read(self, file: Path) -> None:
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                for number, row in enumerate(csv.reader(lines), start=1):
                    with self._troubles.catching("box"):
                        self._add(row, f"{file}:{number}")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"The boxes {file} cannot be read: {error}.") from None

    def _add(self, row: list[str], place: str) -> None:
        try:
            name, *sides = row
            xmin, ymin, xmax, ymax = map(float, sides)
        except ValueError:
            xmin = math.nan
        if not math.isfinite(xmin):
            raise DataError(
                f"{place}: a line must be 'file,xmin,ymin,xmax,ymax'; it is '{','.join(row)[:80]}'."
            )
        item = Annotation(box=(xmin, ymin, xmax, ymax), label=None, text="", place=place)
        self._rows.setdefault(Path(name).stem, []).append(item)
