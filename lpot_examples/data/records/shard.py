"""Writes one shard."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lpot_examples.data.records.example import example_parts
from lpot_examples.data.records.features import RecordOptions, features
from lpot_examples.data.records.pool import StoppedError, Tick
from lpot_examples.data.records.reader import masked_crc
from lpot_examples.data.sources.annotated import (
    AnnotatedImage,
    Trouble,
    Troubles,
)
from lpot_examples.errors import DataError, OutputError
from lpot_examples.workspace import replacing

COMPRESSIONS = ("", "GZIP", "ZLIB")
"""As TensorFlow calls them; none is the first."""

_VERSION = 1  # of what is written: part of the digest, so that old shards are not kept
_BUFFER = 1 << 16  # what is larger, as images are, is written without being copied
_LEVEL = 6
_WINDOW_BITS = {"ZLIB": 15, "GZIP": 31}  # 16 more writes a gzip header, without a time
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One shard to write.

    Attributes:
        target: The file.
        manifest: Where what was written is noted.
        images: What goes in.
        options: How.
        compression: One of `COMPRESSIONS`.
        skip_bad: Whether what cannot be used is left out and listed.
    """

    target: Path
    manifest: Path
    images: tuple[AnnotatedImage, ...]
    options: RecordOptions
    compression: str = ""
    skip_bad: bool = False

    def digest(self) -> str:
        """Identify what the shard is made from: images, annotations and options."""
        digest = hashlib.sha256(
            f"{_VERSION} {self.options} {self.compression} {self.skip_bad}".encode()
        )
        for image in self.images:
            digest.update(_identity(image))
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """What a shard holds.

    Attributes:
        digest: That of its task.
        size: Bytes of the file.
        modified: When the file was written, nanoseconds.
        records: How many there are.
        boxes: How many objects they have.
        classes: Objects, or images that are classified, by class number.
        troubles: What was left out, as pairs of kind and message.
        notes: What was changed and what is odd.
    """

    digest: str
    size: int
    modified: int
    records: int
    boxes: int
    classes: dict[str, int]
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]


class Sink(Protocol):
    """What records are written to."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""


def check_compression(name: str) -> str:
    """Return the name of a compression in TensorFlow's spelling.

    Raises:
        DataError: If there is no such compression.
    """
    if name.upper() not in COMPRESSIONS:
        raise DataError(f"--compression must be GZIP or ZLIB, or be left out; it is '{name}'.")
    return name.upper()


def write_record(file: Sink, *parts: bytes) -> None:
    """Append one record with its checksums; the record may come in parts."""
    length = _LENGTH.pack(sum(map(len, parts)))
    file.write(length + _CRC.pack(masked_crc(length)))
    for part in parts:
        file.write(part)
    file.write(_CRC.pack(masked_crc(*parts)))


def write_shard(task: ShardTask, tick: Tick = lambda: True) -> ShardResult:
    """Write a shard under a temporary name, then move it into place, then its manifest.

    Args:
        task: What to write.
        tick: Called after each image; False gives the shard up.

    Raises:
        DataError: At the first thing that cannot be used, unless such are skipped.
        OutputError: If the disk is full or not writable.
        StoppedError: If ``tick`` returned False; nothing is left behind.
    """
    digest = task.digest()
    task.manifest.unlink(missing_ok=True)
    written = _Written(Troubles(skip=task.skip_bad))
    try:
        with replacing(task.target) as temporary, _opened(temporary, task.compression) as file:
            for image in task.images:
                with written.troubles.catching("image"):
                    written.add(image, task.options, file)
                if not tick():
                    raise StoppedError
        state = task.target.stat()
    except OSError as error:
        raise OutputError(
            f"cannot write {task.target}: {error.strerror}. Make room or choose another "
            "--output_dir; the same command then continues."
        ) from error
    result = ShardResult(
        digest=digest,
        size=state.st_size,
        modified=state.st_mtime_ns,
        records=written.records,
        boxes=written.boxes,
        classes=dict(sorted(written.classes.items(), key=lambda item: int(item[0]))),
        troubles=tuple(written.troubles.found),
        notes=tuple(written.notes),
    )
    with replacing(task.manifest) as temporary:
        temporary.write_text(json.dumps(asdict(result)), encoding="utf-8")
    return result


def finished(task: ShardTask) -> ShardResult | None:
    """Return what an earlier run wrote, if that is what this one would write."""
    try:
        row = json.loads(task.manifest.read_text(encoding="utf-8"))
        state = task.target.stat()
        row["troubles"] = tuple(Trouble(**trouble) for trouble in row["troubles"])
        row["notes"] = tuple(row["notes"])
        result = ShardResult(**row)
    except (OSError, ValueError, TypeError, KeyError):
        return None  # not finished, or by another version
    found = (state.st_size, state.st_mtime_ns)
    if found != (result.size, result.modified) or result.digest != task.digest():
        return None
    return result


@dataclass
class _Written:
    """Counts what goes into a shard."""

    troubles: Troubles
    notes: list[str] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    records: int = 0
    boxes: int = 0

    def add(self, image: AnnotatedImage, options: RecordOptions, file: Sink) -> None:
        row = features(image, options, troubles=self.troubles, notes=self.notes)
        write_record(file, *example_parts(row))
        self.records += 1
        objects = row.get("image/object/class/label", row.get("image/object/bbox/label", ()))
        self.boxes += len(objects)
        if "image/class/label" in row:
            self.classes[str(row["image/class/label"])] += 1
        else:
            self.classes.update(str(label) for label in objects)


def _identity(image: AnnotatedImage) -> bytes:
    """Return everything that a record is made from; the image's file by its size and time."""
    content = image.content
    words: list[tuple[Any, ...]] = [
        (image.source_id, image.filename, image.size, image.label, image.text, image.synset),
        (str(content.path), content.offset, content.length, _stamp(content.path)),
    ]
    numbers: list[float] = []
    for item in image.objects:
        numbers += (*item.box, *(item.frame or ()), -1.0 if item.area is None else item.area)
        words.append((item.label, item.text, item.crowd, item.segmentation))
        words.append((item.difficult, item.truncated, item.view, item.frame is None))
    return repr(words).encode() + array("d", numbers).tobytes()


def _stamp(path: Path) -> str:
    """Tell whether a file is the same as before; the file may be missing."""
    try:
        state = path.stat()
    except OSError:
        return "missing"
    return f"{state.st_size} {state.st_mtime_ns}"


def _opened(path: Path, compression: str) -> Any:
    """Open a file for writing; equal data gives an equal file."""
    if compression:
        return _Deflated(path, _WINDOW_BITS[compression])
    return path.open("wb", buffering=_BUFFER)


class _Deflated:
    """A compressed file."""

    def __init__(self, path: Path, window_bits: int) -> None:
        self._file = path.open("wb", buffering=_BUFFER)
        self._deflate = zlib.compressobj(_LEVEL, wbits=window_bits)

    def write(self, data: bytes) -> int:
        self._file.write(self._deflate.compress(data))
        return len(data)

    def __enter__(self) -> _Deflated:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._file.write(self._deflate.flush())
