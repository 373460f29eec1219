"""Looks through whole sets of shards: checksums, features, classes, and what is wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.data.records.check import faults, identity, labels_of
from lpot_examples.data.records.example import parse_example
from lpot_examples.data.records.pool import StoppedError, Tick, run_all
from lpot_examples.data.records.reader import scan_records
from lpot_examples.data.sources.labels import LabelMap
from lpot_examples.errors import DataError, OutputError
from lpot_examples.workspace import replacing

# A feature that so many records have is expected of all.
_USUAL = 0.9


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong with a record.

    Attributes:
        shard: The file's name.
        index: The record's number in it, from 0.
        fault: What is wrong, as the end of a sentence about it.
    """

    shard: str
    index: int
    fault: str

    def __str__(self) -> str:
        return f"{self.shard}: record {self.index} {self.fault}"


@dataclass
class FeatureUse:
    """How a feature is used.

    Attributes:
        records: How many records have it.
        dtypes: ``bytes``, ``float32`` or ``int64``, by how many records; ``empty`` without a type.
        shortest: The fewest values in a record.
        longest: The most.
    """

    records: int = 0
    dtypes: Counter[str] = field(default_factory=Counter)
    shortest: int = 0
    longest: int = 0

    def add(self, values: Any) -> None:
        """Count one record's values."""
        length = len(values)
        self.shortest = length if not self.records else min(self.shortest, length)
        self.longest = max(self.longest, length)
        self.records += 1
        self.dtypes[_dtype(values)] += 1

    def merge(self, other: FeatureUse) -> None:
        """Add what another shard has."""
        self.shortest = other.shortest if not self.records else min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)
        self.records += other.records
        self.dtypes += other.dtypes


@dataclass
class Inspection:
    """What one or several shards hold.

    Attributes:
        records: How many records each shard has, damaged ones too, by its name.
        features: By name.
        classes: How many objects, or images, there are by number and name.
        problems: What is wrong.
    """

    records: dict[str, int] = field(default_factory=dict)
    features: dict[str, FeatureUse] = field(default_factory=dict)
    classes: Counter[tuple[int, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    # To compare records with each other: where features, classes and ids are.
    _names: dict[frozenset[str], list[tuple[str, int]]] = field(default_factory=dict)
    _first: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)
    _ids: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, example: Mapping[str, Any], where: tuple[str, int]) -> None:
        """Count one record."""
        for name, values in example.items():
            self.features.setdefault(name, FeatureUse()).add(values)
        self._names.setdefault(frozenset(example), []).append(where)
        pairs = labels_of(example)
        self.classes.update(pairs)
        for pair in pairs:
            self._first.setdefault(pair, where)
        if key := identity(example):
            self._ids.setdefault(key, []).append(where)

    def merge(self, other: Inspection) -> None:
        """Add what a later shard has."""
        self.records |= other.records
        for name, use in other.features.items():
            self.features.setdefault(name, FeatureUse()).merge(use)
        self.classes += other.classes
        self.problems += other.problems
        for names, places in other._names.items():
            self._names.setdefault(names, []).extend(places)
        for pair, where in other._first.items():
            self._first.setdefault(pair, where)
        for key, places in other._ids.items():
            self._ids.setdefault(key, []).extend(places)

    def compare(self) -> None:
        """Add what only the records together show, and bring the problems into order."""
        self.problems += [*self._missing(), *self._ambiguous(), *self._repeated()]
        order = {name: number for number, name in enumerate(self.records)}
        self.problems.sort(key=lambda problem: (order[problem.shard], problem.index))

    def _missing(self) -> Iterator[Problem]:
        total = sum(map(len, self._names.values()))
        usual = {name for name, use in self.features.items() if use.records >= _USUAL * total}
        for names, places in self._names.items():
            if lacking := sorted(usual - names):
                for shard, index in places:
                    yield Problem(shard, index, f"lacks {', '.join(lacking)}, which others have")

    def _ambiguous(self) -> Iterator[Problem]:
        texts: dict[int, list[tuple[int, str]]] = {}
        for (number, text), count in self.classes.items():
            if text:
                texts.setdefault(number, []).append((count, text))
        for number, found in sorted(texts.items()):
            usual = max(found)[1]
            for _, text in sorted(found):
                if text != usual:
                    shard, index = self._first[number, text]
                    fault = f"calls class {number} '{text}'; others call it '{usual}'"
                    yield Problem(shard, index, fault)

    def _repeated(self) -> Iterator[Problem]:
        for key, ((shard, index), *others) in self._ids.items():
            for where in others:
                fault = f"has the id '{key}', as record {index} of {shard} has"
                yield Problem(*where, fault)


def inspect_shards(
    paths: Sequence[Path],
    *,
    labels: LabelMap | None = None,
    decode: bool = True,
    workers: int = 1,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Inspection:
    """Read shards whole, verify all checksums and check every record.

    Args:
        paths: The shards.
        labels: What classes there should be.
        decode: Whether to decode the images.
        workers: Processes that read.
        progress: Told of the records that are done; how many there are is not known.

    Raises:
        DataError: If a shard cannot be opened.
    """
    done = run_all(
        partial(_inspect_shard, labels=labels, decode=decode),
        dict(enumerate(paths)),
        workers=workers,
        report=lambda ticks: progress(ticks, None),
    )
    result = Inspection()
    for index in range(len(paths)):
        result.merge(done[index])
    result.compare()
    return result


def sample_records(
    inspection: Inspection, paths: Sequence[Path], *, count: int, seed: int = 0
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield some records that can be read, chosen at random, in the order they lie.

    Args:
        inspection: Of these shards.
        paths: The shards.
        count: How many, at most.
        seed: Chooses which.

    Yields:
        The shard's name, the record's index and its features.
    """
    places = sorted(place for found in inspection._names.values() for place in found)
    chosen = set(random.Random(seed).sample(places, min(count, len(places))))
    for path in paths:
        wanted = {index for shard, index in chosen if shard == path.name}
        for record in scan_records(path) if wanted else ():
            if record.index in wanted and record.data is not None:
                yield path.name, record.index, parse_example(record.data)


def write_report(inspection: Inspection, file: Path) -> None:
    """Write everything found as JSON.

    Raises:
        OutputError: If the file cannot be written.
    """
    content = {
        "records": inspection.records,
        "features": {name: _row(use) for name, use in sorted(inspection.features.items())},
        "classes": [
            {"number": number, "name": name, "count": count}
            for (number, name), count in sorted(inspection.classes.items())
        ],
        "problems": [asdict(problem) for problem in inspection.problems],
    }
    try:
        with replacing(file) as temporary:
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"cannot write {file}: {error.strerror}. Choose another --report."
        ) from error


def _row(use: FeatureUse) -> dict[str, Any]:
    return {
        "records": use.records,
        "dtypes": dict(sorted(use.dtypes.items())),
        "shortest": use.shortest,
        "longest": use.longest,
    }


def _inspect_shard(path: Path, tick: Tick, *, labels: LabelMap | None, decode: bool) -> Inspection:
    result = Inspection()
    count = 0
    for record in scan_records(path):
        count += 1
        if record.data is None:
            fault = f"(byte {record.offset}) {record.fault}"
            result.problems.append(Problem(path.name, record.index, fault))
        else:
            _inspect_record(result, record.data, (path.name, record.index), labels, decode)
        if not tick():
            raise StoppedError
    result.records[path.name] = count
    return result


def _inspect_record(
    result: Inspection, data: bytes, where: tuple[str, int], labels: LabelMap | None, decode: bool
) -> None:
    try:
        example = parse_example(data)
    except DataError:
        fault = f"of {len(data)} bytes is no tf.train.Example"
        result.problems.append(Problem(*where, fault))
        return
    result.add(example, where)
    result.problems += [Problem(*where, f) for f in faults(example, labels=labels, decode=decode)]


def _dtype(values: Any) -> str:
    if isinstance(values, np.ndarray):
        return str(values.dtype)
    return "bytes" if values else "empty"
