"""From an opened data set to shards, the files that name its classes, and a summary."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lpot_examples.data.records.features import RecordOptions
from lpot_examples.data.records.plan import Division, PlannedShard, plan_shards
from lpot_examples.data.records.shard import ShardResult
from lpot_examples.data.records.writer import Progress, write_records
from lpot_examples.data.sources.annotated import Source, Trouble, Troubles
from lpot_examples.data.sources.labels import LabelMap, labels_files
from lpot_examples.workspace import replacing

SUMMARY = "summary.json"

_LIBRARIES = ("lpot-examples", "pillow", "protobuf", "google-crc32c", "numpy")


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What was written of one split.

    Attributes:
        shards: The names of its files begin with this.
        count: How many files there are.
        records: How many images.
        boxes: How many objects they have.
        size: Bytes of the files.
        classes: Objects, or images that are classified, by class name.
    """

    shards: str
    count: int
    records: int
    boxes: int
    size: int
    classes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a conversion made; the file ``summary.json`` holds the same.

    Attributes:
        dataset: What was converted.
        splits: By name.
        troubles: What was left out.
        notes: What was changed and what is odd.
        settings: The options that decide about the bytes.
        versions: Of the libraries that do.
    """

    dataset: str
    splits: Mapping[str, SplitSummary]
    troubles: Sequence[Trouble]
    notes: Sequence[str]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]


def convert(
    source: Source,
    folder: Path,
    *,
    division: Division,
    options: RecordOptions,
    troubles: Troubles,
    workers: int = 1,
    compression: str = "",
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Write the records of a data set, the labels files and the summary.

    Args:
        source: The data set.
        folder: Where everything goes.
        division: Which image goes where.
        options: What goes into the records.
        troubles: What was left out when the source was opened; says whether more may be.
        workers: Processes that write.
        compression: One of `shard.COMPRESSIONS`.
        progress: Told of the images that are done.

    Raises:
        DataError: At something that cannot be used, unless such is to be skipped.
        OutputError: If the folder cannot be written.
    """
    planned = plan_shards(source, division)
    results = write_records(
        planned,
        folder,
        options,
        workers=workers,
        compression=compression,
        skip_bad=troubles.skip,
        progress=progress,
    )
    summary = Summary(
        dataset=source.dataset,
        splits=_splits(planned, results, source.labels),
        troubles=[*troubles.found, *(row for result in results for row in result.troubles)],
        notes=[note for result in results for note in result.notes],
        settings={**asdict(division), **asdict(options), "compression": compression or None},
        versions=_versions(),
    )
    files = {SUMMARY: json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n"}
    for name, content in (files | dict(labels_files(source.labels))).items():
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return summary


def _splits(
    planned: Sequence[PlannedShard], results: Sequence[ShardResult], labels: LabelMap
) -> dict[str, SplitSummary]:
    splits = {}
    for split in dict.fromkeys(shard.split for shard in planned):
        pairs = [
            (shard, result)
            for shard, result in zip(planned, results, strict=True)
            if shard.split == split
        ]
        counts = sum((Counter(result.classes) for _, result in pairs), Counter[str]())
        splits[split] = SplitSummary(
            shards=pairs[0][0].name.rpartition("-00000-of-")[0],
            count=len(pairs),
            records=sum(result.records for _, result in pairs),
            boxes=sum(result.boxes for _, result in pairs),
            size=sum(result.size for _, result in pairs),
            classes=_named(counts, labels),
        )
    return splits


def _named(counts: Mapping[str, int], labels: LabelMap) -> dict[str, int]:
    """Sum by name; of two classes with one name (ImageNet's cranes) the number tells them apart."""
    named: dict[str, int] = {}
    for number, count in sorted(counts.items(), key=lambda item: int(item[0])):
        label = labels.by_number.get(int(number))
        name = label.name if label else number
        named[name if name not in named else f"{name} ({number})"] = count
    return named


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a clone that is not installed
            continue
    return versions
