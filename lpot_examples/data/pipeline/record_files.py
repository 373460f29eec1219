"""TFRecord shards by record number: an index of offsets, so that any record is one read away."""

from __future__ import annotations

import glob
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from lpot_examples.data.records.example import parse_example
from lpot_examples.data.records.reader import is_shard, masked_crc, scan_records
from lpot_examples.errors import DataError

_HEAD = struct.Struct("<QI")
_FOOT = 4


class RecordFiles:
    """The records of some shards, one shard after the other.

    The lengths of all records are read at once and their checksums with them; the data and their
    checksums when a record is. The records of compressed shards, which cannot be reached singly,
    are kept in memory.

    Args:
        paths: The shards.

    Raises:
        DataError: If a shard cannot be read or is damaged (names shard and record), or there is no
            record.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._shards = [_Shard(path) for path in paths]
        self._ends = list(accumulate(len(shard) for shard in self._shards))
        if not len(self):
            names = [path.name for path in paths[:3]] + ["…"] * (len(paths) > 3)
            raise DataError(
                f"The records {', '.join(names)} must hold at least one record; they hold none. "
                "Convert the data set again."
            )

    def __len__(self) -> int:
        """The number of records."""
        return self._ends[-1] if self._ends else 0

    def read(self, row: int) -> bytes:
        """Return a record.

        Raises:
            DataError: If it cannot be read or its checksum does not match.
        """
        shard, index = self._find(row)
        return shard.read(index)

    def features(self, row: int) -> dict[str, Any]:
        """Return what a record holds, see `parse_example`.

        Raises:
            DataError: If it cannot be read, its checksum does not match, or it is no Example.
        """
        return parse_example(self.read(row), place=self.place(row))

    def place(self, row: int) -> str:
        """Return what a record is called in messages: its shard and number there."""
        shard, index = self._find(row)
        return f"{shard.path}: record {index}"

    def _find(self, row: int) -> tuple[_Shard, int]:
        number = bisect_right(self._ends, row)
        before = self._ends[number - 1] if number else 0
        return self._shards[number], row - before


def holds_records(location: Path) -> bool:
    """Tell whether a dataset's location means records, see `records.reader.shards`."""
    if location.is_dir():
        return any(map(is_shard, location.iterdir()))
    pattern = str(location)
    if not glob.has_magic(pattern):
        pattern = f"{glob.escape(pattern)}-*-of-*"
    return location.is_file() or bool(glob.glob(pattern))  # noqa: PTH207


class _Shard:
    """Offsets and lengths of the records of one file, or the records themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._spans: list[tuple[int, int]] = []
        self._held: list[bytes] = []
        try:
            if _is_plain(path):
                self._spans = list(_spans(path))
            else:
                self._held = list(self._decompressed())
        except OSError as error:
            raise DataError(f"The records {path} cannot be read: {error.strerror}.") from None

    def __len__(self) -> int:
        return len(self._spans) or len(self._held)

    def read(self, index: int) -> bytes:
        if self._held:
            return self._held[index]
        offset, length = self._spans[index]
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                data = file.read(length + _FOOT)
        except OSError as error:
            raise DataError(f"The records {self.path} cannot be read: {error.strerror}.") from None
        record, foot = data[:length], data[length:]
        if len(foot) < _FOOT or masked_crc(record) != int.from_bytes(foot, "little"):
            raise _damaged(self.path, index, "has data whose checksum (CRC-32C) does not match")
        return record

    def _decompressed(self) -> Iterator[bytes]:
        for record in scan_records(self.path):
            if record.data is None:
                raise _damaged(self.path, record.index, record.fault)
            yield record.data


def _is_plain(path: Path) -> bool:
    """Tell whether a file begins as an uncompressed shard; an empty one does."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    return not head or _length(head) is not None


def _spans(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the offset and length of each record's data."""
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while offset < size:
            index_head = file.read(_HEAD.size)
            length = _length(index_head)
            end = offset + _HEAD.size + (length or 0) + _FOOT
            if len(index_head) < _HEAD.size or (length is not None and end > size):
                raise _damaged(path, None, f"is cut off within the record at byte {offset}")
            if length is None:
                raise _damaged(path, None, f"has a damaged length at byte {offset}")
            yield offset + _HEAD.size, length
            offset = end
            file.seek(offset)


def _length(head: bytes) -> int | None:
    """Return the length at the beginning of a record, or None if its checksum does not match."""
    if len(head) < _HEAD.size:
        return None
    length, crc = _HEAD.unpack(head)
    return int(length) if masked_crc(head[:8]) == crc else None


def _damaged(path: Path, index: int | None, fault: str) -> DataError:
    place = str(path) if index is None else f"{path}: record {index}"
    return DataError(f"{place} {fault}. Copy the shard again or convert the data set again.")
