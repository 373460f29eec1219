"""Reads TFRecord shards and checks them.

The format is https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details: of
each record the length (uint64), the masked CRC-32C of the length, the data, the masked CRC-32C of
the data, all little-endian. The whole file may be compressed (GZIP or ZLIB), which is found out.
"""

from __future__ import annotations

import glob
import gzip
import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lpot_examples.errors import DataError

SHARD_NAME = re.compile(r"(?P<stem>.+)-(?P<index>\d{3,})-of-(?P<count>\d{3,})(?P<suffix>\.\w+)?")
"""The standard name of one shard of several."""

_SUFFIXES = (".record", ".records", ".tfrecord", ".tfrecords")
_SPLITS = {"train": re.compile(r"train"), "validation": re.compile(r"val|test|minival")}
_LENGTH = struct.Struct("<QI")
_BUFFER = 1 << 20
_MASK = 0xA282EAD8
_BAD_DATA = "has data whose checksum (CRC-32C) does not match"


@dataclass(frozen=True)
class Scanned:
    """One record as it was found.

    Attributes:
        index: Its number in the shard, from 0.
        offset: Where it begins in the (decompressed) shard, bytes.
        data: Its bytes; None if they are damaged.
        fault: What is wrong with it; empty if nothing is.
    """

    index: int
    offset: int
    data: bytes | None
    fault: str = ""


def read_records(shard: Path) -> Iterator[bytes]:
    """Yield a shard's records in order, each with its checksums verified.

    Raises:
        DataError: If the shard cannot be opened, or at a damaged record; names shard and index.
    """
    for record in scan_records(shard):
        if record.data is None:
            raise DataError(
                f"{shard}: record {record.index} (byte {record.offset}) {record.fault}. Copy the "
                "shard again or convert the data set again."
            )
        yield record.data


def scan_records(shard: Path) -> Iterator[Scanned]:
    """Yield what a shard holds, damaged records too.

    After a damaged length nothing more can be read, so that the record is the last; after damaged
    data the next record follows.

    Raises:
        DataError: If the shard cannot be opened.
    """
    index = offset = 0
    with _opened(shard) as file:
        while True:
            record, size = _next(file, index, offset)
            if record is None:
                return
            yield record
            if not size:
                return
            index, offset = index + 1, offset + size


def masked_crc(*parts: bytes) -> int:
    """Return the CRC-32C of some bytes, rotated and shifted as TFRecord stores it."""
    import google_crc32c

    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def shards(location: Path, *, split: str | None = None) -> tuple[Path, ...]:
    """List the shards that a location means, in order.

    Args:
        location: A shard; a glob pattern; what the names of a set of shards begin with
            (``coco_val.record`` for ``coco_val.record-00000-of-00010`` …); or a folder with a set,
            or several.
        split: ``train`` or ``validation``: which set of a folder with several is meant. Where
            there is only one set, that is taken.

    Raises:
        DataError: If there is none, a set is incomplete, or it is not clear which set is meant.
    """
    found = _found(location, split)
    if not found:
        raise _missing(location)
    _check_complete(found, location)
    return found


def all_shards(location: Path) -> tuple[Path, ...]:
    """List the shards that a location means, of every set in a folder.

    Raises:
        DataError: If there is none, or a set is incomplete.
    """
    if not location.is_dir():
        return shards(location)
    sets = _sets(location)
    if not sets:
        raise _missing(location)
    for paths in sets.values():
        _check_complete(tuple(paths), location)
    return tuple(path for paths in sets.values() for path in paths)


def _missing(location: Path) -> DataError:
    return DataError(
        f"{location} must be a TFRecord file, a folder of them, a pattern or the beginning of "
        "their names; nothing is there. Make records with prepare_dataset.sh."
    )


def _found(location: Path, split: str | None) -> tuple[Path, ...]:
    if location.is_file():
        return (location,)
    if location.is_dir():
        return _of_folder(location, split)
    pattern = str(location)
    if not glob.has_magic(pattern):
        pattern = f"{glob.escape(pattern)}-*-of-*"
    paths = (Path(name) for name in sorted(glob.glob(pattern)))  # noqa: PTH207
    return tuple(path for path in paths if path.is_file() and is_shard(path))


def _of_folder(folder: Path, split: str | None) -> tuple[Path, ...]:
    sets = _sets(folder)
    if len(sets) > 1 and split is not None:
        meant = {stem: paths for stem, paths in sets.items() if _SPLITS[split].search(stem)}
        sets = meant or sets
    if len(sets) > 1:
        raise DataError(
            f"{folder} holds {len(sets)} sets of records: {', '.join(sorted(sets))}. Say which is "
            f"meant by the beginning of its name, such as {folder / min(sets)}."
        )
    return tuple(path for paths in sets.values() for path in paths)


def _sets(folder: Path) -> dict[str, list[Path]]:
    """Return the shards in a folder by what their names begin with."""
    sets: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and is_shard(path):
            sets.setdefault(_stem(path), []).append(path)
    return sets


def is_shard(path: Path) -> bool:
    """Tell by its name whether a file is a shard that is complete."""
    if path.name.startswith("."):  # being written
        return False
    return SHARD_NAME.fullmatch(path.name) is not None or path.suffix in _SUFFIXES


def _stem(path: Path) -> str:
    match = SHARD_NAME.fullmatch(path.name)
    return match["stem"] if match else path.name


def _check_complete(found: tuple[Path, ...], location: Path) -> None:
    """Where a whole set is meant, all of it must be there."""
    if location.is_file() or glob.has_magic(str(location)):
        return
    sets: dict[tuple[str, int], set[int]] = {}
    for path in found:
        if match := SHARD_NAME.fullmatch(path.name):
            key = match["stem"], int(match["count"])
            sets.setdefault(key, set()).add(int(match["index"]))
    if len(sets) > 1:
        counts = ", ".join(f"{stem}-*-of-{count:05}" for stem, count in sorted(sets))
        raise DataError(f"{location} mixes several sets of records: {counts}. Remove the old ones.")
    for (stem, count), indices in sets.items():
        missing = sorted(set(range(count)) - indices)
        if missing:
            raise DataError(
                f"{location} must hold {count} shards {stem}-*-of-{count:05}; {len(missing)} are "
                f"missing, the first {stem}-{missing[0]:05}-of-{count:05}. Run the conversion "
                "again: it continues."
            )


def _opened(shard: Path) -> io.BufferedIOBase:
    try:
        file = io.BufferedReader(io.FileIO(shard), _BUFFER)
    except OSError as error:
        raise DataError(f"The records {shard} cannot be read: {error.strerror}.") from None
    start = file.peek(_LENGTH.size)[: _LENGTH.size]
    if _length_of(start) is None:  # a compressed stream cannot begin with a valid checksum
        if start[:2] == b"\x1f\x8b":
            return gzip.GzipFile(fileobj=file)
        if len(start) > 1 and start[0] == 0x78 and not int.from_bytes(start[:2], "big") % 31:
            return io.BufferedReader(_Inflated(file), _BUFFER)
    return file


class _Inflated(io.RawIOBase):
    """A ZLIB stream as a file."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data and not self._inflate.eof:
            source = self._inflate.unconsumed_tail or self._file.read(_BUFFER)
            if not source:
                raise EOFError("the compressed stream ends early")
            data = self._inflate.decompress(source, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _next(file: io.BufferedIOBase, index: int, offset: int) -> tuple[Scanned | None, int]:
    """Return the next record and its size in the file, 0 if none can follow; None at the end."""
    try:
        return _record(file, index, offset)
    except (OSError, EOFError, zlib.error) as error:
        return Scanned(index, offset, None, f"cannot be read ({error})"), 0


def _record(file: io.BufferedIOBase, index: int, offset: int) -> tuple[Scanned | None, int]:
    head = file.read(_LENGTH.size)
    if not head:
        return None, 0
    length = _length_of(head)
    if len(head) < _LENGTH.size:
        return Scanned(index, offset, None, "is cut off: the shard ends within it"), 0
    if length is None:
        fault = "has a length whose checksum (CRC-32C) does not match"
        return Scanned(
            index, offset, None, fault if index else f"{fault}; it may be no TFRecord"
        ), 0
    try:
        data = file.read(length + 4)
    except (MemoryError, OverflowError):
        return Scanned(index, offset, None, f"claims {length} bytes, more than can be read"), 0
    if len(data) < length + 4:
        return Scanned(index, offset, None, "is cut off: the shard ends within it"), 0
    size = _LENGTH.size + length + 4
    body = data[:length]
    if masked_crc(body) != int.from_bytes(data[length:], "little"):
        return Scanned(index, offset, None, _BAD_DATA), size
    return Scanned(index, offset, body), size


def _length_of(head: bytes) -> int | None:
    """Return the length at the beginning of a record, or None if its checksum does not match."""
    if len(head) < _LENGTH.size:
        return None
    length, crc = _LENGTH.unpack(head)
    return int(length) if masked_crc(head[:8]) == crc else None
