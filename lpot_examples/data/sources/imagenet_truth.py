"""The classes of ImageNet's validation images, in each of the forms they are published in."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from lpot_examples.data.sources.labels import SYNSET, Label, LabelMap
from lpot_examples.errors import DataError

_BY_FILE = ("val.txt", "validation.txt")
_SOLUTION = "LOC_val_solution.csv"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"
_NUMBERS = "ILSVRC2012_validation_ground_truth.txt"
_KIT = "ILSVRC2012_devkit_t12"

_HINT = (
    f"Put one of these beside the images: val.txt ('file index' a line, caffe's), {_SYNSETS} (a "
    f"synset for each image in the order of their names), {_SOLUTION} (Kaggle's), or "
    f"{_KIT}.tar.gz."
)


@dataclass(frozen=True)
class Truth:
    """What images show.

    Attributes:
        classes: By file name a synset or an index from 0.
        origin: The file that says so.
    """

    classes: dict[str, str | int]
    origin: Path


def read_truth(root: Path, names: Sequence[str]) -> Truth:
    """Find and read the classes.

    Args:
        root: The folder to look in.
        names: The images' file names, sorted.

    Raises:
        DataError: If no list is there, it does not fit the images, or a line is malformed.
    """
    for file in (root / name for name in _BY_FILE):
        if file.is_file():
            return Truth(dict(_pair(line, place) for place, line in _lines(file)), file)
    if (file := root / _SOLUTION).is_file():
        return Truth(_solution(file), file)
    if (file := root / _SYNSETS).is_file():
        lines = [_synset(line, place) for place, line in _lines(file)]
        return Truth(_in_order(lines, names, file), file)
    return _from_kit(root, names)


def _lines(file: Path) -> list[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list {file} cannot be read: {error}.") from None
    return _placed(text, file)


def _placed(text: str, file: Path | str) -> list[tuple[str, str]]:
    numbered = enumerate(text.splitlines(), start=1)
    return [(f"{file}:{number}", line.strip()) for number, line in numbered if line.strip()]


def _pair(line: str, place: str) -> tuple[str, str | int]:
    words = line.split()
    if len(words) >= 2 and words[1].isascii() and words[1].isdigit():
        return Path(words[0]).name, int(words[1])
    if len(words) >= 2 and SYNSET.fullmatch(words[1]):
        return Path(words[0]).name, words[1]
    raise DataError(f"{place}: a line must be 'file index' or 'file synset'; it is '{line[:80]}'.")


def _synset(line: str, place: str) -> str:
    if not SYNSET.fullmatch(line):
        raise DataError(
            f"{place}: a line must be a synset, such as n01440764; it is '{line[:80]}'."
        )
    return line


def _solution(file: Path) -> dict[str, str | int]:
    """Read ``ImageId,PredictionString``, whose second column begins with the synset."""
    classes: dict[str, str | int] = {}
    rows = csv.reader(line for _, line in _lines(file))
    for number, row in enumerate(rows, start=1):
        if number > 1 or not row or row[0] != "ImageId":
            synset = row[1].split()[0] if len(row) > 1 and row[1].split() else ""
            classes[f"{row[0]}.JPEG"] = _synset(synset, f"{file}:{number}")
    return classes


def _in_order(classes: Sequence[str], names: Sequence[str], file: Path) -> dict[str, str | int]:
    if len(classes) != len(names):
        raise DataError(
            f"{file} must have a line for each image in the order of their names; it has "
            f"{len(classes)} for {len(names)} images. A part of the images needs val.txt."
        )
    return dict(zip(names, classes, strict=True))


def _from_kit(root: Path, names: Sequence[str]) -> Truth:
    """Read the development kit: numbers a line, and their meaning in ``meta.mat``."""
    kit = _kit(root)
    if kit is None:
        raise DataError(f"The classes of the validation images in {root} are missing. {_HINT}")
    synsets = {str(row.number): row.synset for row in _meanings(kit)}
    classes = []
    for place, line in _placed(kit.numbers.decode(errors="replace"), kit.origin):
        if line not in synsets:
            raise DataError(f"{place}: a line must be a class of meta.mat; it is '{line[:80]}'.")
        classes.append(synsets[line])
    return Truth(_in_order(classes, names, kit.origin), kit.origin)


def kit_labels(root: Path, *, classes: int, first: int) -> LabelMap | None:
    """Return the classes as the development kit names them; None if it is not there.

    Args:
        root: The folder to look in.
        classes: How many there are; the kit's further synsets are those above them.
        first: The number of the first class.

    Raises:
        DataError: If the kit cannot be read.
    """
    kit = _kit(root)
    if kit is None:
        return None
    rows = sorted(_meanings(kit), key=lambda row: row.synset)
    rows = [row for row in rows if row.number <= classes]
    labels = (Label(first + index, row.name, row.synset) for index, row in enumerate(rows))
    return LabelMap(labels, origin=str(kit.origin))


@dataclass(frozen=True)
class _Kit:
    """The two files of the development kit."""

    numbers: bytes
    meta: bytes
    origin: Path


def _kit(root: Path) -> _Kit | None:
    for folder in (root, root / "data", root / _KIT / "data", root / _KIT):
        truth, meta = folder / _NUMBERS, folder / "meta.mat"
        if truth.is_file() and meta.is_file():
            return _Kit(truth.read_bytes(), meta.read_bytes(), truth)
    archive = root / f"{_KIT}.tar.gz"
    if not archive.is_file():
        return None
    try:
        with tarfile.open(archive) as tar:
            parts = [tar.extractfile(f"{_KIT}/data/{name}") for name in (_NUMBERS, "meta.mat")]
            data = [part.read() if part else b"" for part in parts]
    except (tarfile.TarError, OSError, EOFError, KeyError) as error:
        raise DataError(f"{archive} cannot be read ({error}). Download it again.") from None
    return _Kit(data[0], data[1], archive)


def _meanings(kit: _Kit) -> list[Label]:
    """Return the synset and name of each ILSVRC2012_ID."""
    from scipy.io import loadmat

    try:
        rows: Any = loadmat(BytesIO(kit.meta), squeeze_me=True)["synsets"]
        return [Label(int(r["ILSVRC2012_ID"]), str(r["words"]), str(r["WNID"])) for r in rows]
    except (ValueError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        raise DataError(
            f"The meta.mat of {kit.origin} must list ImageNet's synsets; it cannot be read "
            f"({error}). Download the development kit again."
        ) from None
