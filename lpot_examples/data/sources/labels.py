"""Classes: their numbers and names, and the files that say them.

Read: ``.pbtxt`` (label maps of TensorFlow's object detection API), ``.json`` (a list of names,
``{"1": "cat"}`` or ``{"cat": 1}``), and text: a name a line, ``1 cat`` or ``1: cat`` a line, or
``n01440764 tench`` a line (a synset list).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import DataError

SYNSET = re.compile(r"n\d{8}")

_NUMBERED = re.compile(r"(\d+)\s*[:,\t ]\s*(\S.*)")
_LISTED = re.compile(r"(n\d{8})(?:[\s,:]+(\S.*))?")
_ITEM = re.compile(r"item\s*:?\s*\{((?:[^{}\"']|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')*)\}")
_PAIR = re.compile(r"(\w+)\s*:\s*(?:\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|(\S+))")


@dataclass(frozen=True)
class Label:
    """One class.

    Attributes:
        number: As it is in records.
        name: In words.
        synset: The WordNet id, where there is one.
    """

    number: int
    name: str
    synset: str = ""


class LabelMap:
    """The classes of a data set, by ascending number.

    Args:
        labels: The classes.
        origin: Where they come from, for messages.

    Raises:
        DataError: If a number or a name is used twice.
    """

    def __init__(self, labels: Iterable[Label], *, origin: str) -> None:
        self.labels = tuple(sorted(labels, key=lambda label: label.number))
        self.origin = origin
        self.by_number = {label.number: label for label in self.labels}
        self.by_name = {label.name: label for label in self.labels}
        self.by_synset = {label.synset: label for label in self.labels if label.synset}
        if len(self.by_number) < len(self.labels):
            raise DataError(f"{origin} must give each class a number of its own; one comes twice.")
        # Two synsets of ImageNet are called 'crane' and two 'maillot'.
        if len(self.by_name) < len(self.labels) != len(self.by_synset):
            raise DataError(f"{origin} must give each class a name of its own; one comes twice.")

    def __len__(self) -> int:
        return len(self.labels)


def named(names: Iterable[str], *, first: int, origin: str) -> LabelMap:
    """Number names in the order given."""
    labels = (Label(number, name) for number, name in enumerate(names, start=first))
    return LabelMap(labels, origin=origin)


def read_labels_file(file: Path, *, first: int) -> LabelMap:
    """Read the classes from a file of one of the known forms.

    Args:
        file: The file; its suffix tells ``.pbtxt`` and ``.json``, all else is text.
        first: The number of the first class where the file gives no numbers.

    Raises:
        DataError: If it cannot be read, or a line cannot be understood.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The labels {file} cannot be read: {error}.") from None
    if file.suffix == ".pbtxt":
        labels = _pbtxt(text, file)
    elif file.suffix == ".json":
        labels = _json(text, file, first)
    else:
        labels = _text(text, file, first)
    if not labels:
        raise DataError(f"{file} must name at least one class; it names none.")
    return LabelMap(labels, origin=str(file))


def labels_files(labels: LabelMap) -> Mapping[str, str]:
    """Return the content of the files to write beside records, by name.

    ``label_map.yaml`` is the form that ``anno_path`` of LPOT's mAP metrics takes.
    """
    rows = labels.labels
    if not rows:
        return {}
    files = {
        "label_map.pbtxt": "".join(
            f"item {{\n  name: {_quoted(row.synset or row.name)}\n  id: {row.number}\n"
            f"  display_name: {_quoted(row.name)}\n}}\n"
            for row in rows
        ),
        "labels.json": json.dumps({row.number: row.name for row in rows}, indent=1) + "\n",
        "labels.txt": "".join(f"{row.number} {row.name}\n" for row in rows),
    }
    if len(labels.by_name) == len(rows):
        files["label_map.yaml"] = "".join(f"{_quoted(row.name)}: {row.number}\n" for row in rows)
    if all(row.synset for row in rows):
        files["synsets.txt"] = "".join(f"{row.synset} {row.name}\n" for row in rows)
    return files


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _pbtxt(text: str, file: Path) -> list[Label]:
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    labels = []
    for item in _ITEM.finditer(text):
        place = f"{file}:{text.count(chr(10), 0, item.start()) + 1}"
        values = {m[1]: _unquoted(m) for m in _PAIR.finditer(item[1])}
        if not values.get("id", "").isdigit() or not values.get("name", ""):
            raise DataError(f"{place}: an item must have an id and a name; it has {values}.")
        name, synset = values["name"], ""
        if SYNSET.fullmatch(name) or name.startswith("/m/"):  # ImageNet's and Open Images' names
            name, synset = values.get("display_name", name), name
        labels.append(Label(int(values["id"]), name, synset if SYNSET.fullmatch(synset) else ""))
    if not labels:
        raise DataError(
            f"{file} must be a label map of lines such as item {{ id: 1 name: 'cat' }}; no item "
            "is in it."
        )
    return labels


def _unquoted(match: re.Match[str]) -> str:
    text = next(part for part in match.groups()[1:] if part is not None)
    return re.sub(r"\\(.)", r"\1", text)


def _json(text: str, file: Path, first: int) -> list[Label]:
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: labels must be JSON: {error.msg}.") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return [Label(number, name) for number, name in enumerate(content, start=first)]
    if isinstance(content, dict):
        if all(_is_number(key) and isinstance(name, str) for key, name in content.items()):
            return [Label(int(key), name) for key, name in content.items()]
        if all(_is_number(number) for number in content.values()):
            return [Label(int(number), name) for name, number in content.items()]
        if all(_is_number(key) and _is_pair(row) for key, row in content.items()):
            return [Label(first + int(key), row[1], row[0]) for key, row in content.items()]
    raise DataError(
        f'{file} must be a list of names, {{"1": "cat", …}} or {{"cat": 1, …}}; it is neither.'
    )


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and str(value).isascii() and str(value).isdigit()


def _is_pair(row: object) -> bool:
    """Whether a row is that of Keras' ``imagenet_class_index.json``, numbered from 0."""
    return isinstance(row, list) and len(row) == 2 and all(isinstance(part, str) for part in row)


def _text(text: str, file: Path, first: int) -> list[Label]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and lines[0][1].lower().startswith("synset"):  # a heading
        lines = lines[1:]
    if all(_LISTED.fullmatch(line) for _, line in lines):
        found = [_LISTED.fullmatch(line) for _, line in lines]
        return [
            Label(number, match[2] or match[1], match[1])
            for number, match in enumerate(filter(None, found), start=first)
        ]
    if lines and _NUMBERED.fullmatch(lines[0][1]):
        return [_numbered(line, f"{file}:{number}") for number, line in lines]
    return [Label(number, line) for number, (_, line) in enumerate(lines, start=first)]


def _numbered(line: str, place: str) -> Label:
    match = _NUMBERED.fullmatch(line)
    if match is None:
        raise DataError(f"{place}: a line must be 'number name' as the first is; it is '{line}'.")
    return Label(int(match[1]), match[2])
