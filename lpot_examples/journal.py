"""The journal: an append-only record of a run, from which it is resumed.

One JSON object per line, flushed to the disk as it happens. A line cut off by a crash is ignored,
so at most the event that was being written is lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from lpot_examples.errors import LpotError, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Journal:
    """Events of one run in one workspace.

    Args:
        path: The file; its folder must exist.
        identity: What the run is of. A journal of another identity is set aside, not continued.

    Raises:
        OutputError: If it cannot be written.
        LpotError: If another process is writing it.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self._lock = self._acquire_lock()
        events = list(read_events(path)) if path.exists() else []
        # Through JSON, so that tuples and lists compare equal.
        identity = json.loads(json.dumps(identity))
        finished = any(event["event"] == "finished" for event in events)
        same = bool(events) and events[0].get("identity") == identity
        self.resumed = same and not finished
        if path.exists() and not self.resumed:
            self._set_aside()
            events = []
        self.events = events
        self._file = self._open()
        if not self.resumed:
            self.write("started", identity=identity)

    def write(self, event: str, **data: Any) -> None:
        """Append an event and bring it to the disk.

        Raises:
            OutputError: If the disk is full or the file has become unwritable.
        """
        record = {"event": event, **data}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {self.path}: {error.strerror}. What was written before "
                "is kept; make room and run the same command again to continue."
            ) from error
        self.events.append(record)

    def find(self, event: str, **fields: Any) -> dict[str, Any] | None:
        """Return the last event of that kind with those values, or None."""
        for record in reversed(self.events):
            if record["event"] == event and all(record.get(k) == v for k, v in fields.items()):
                return record
        return None

    def close(self) -> None:
        """Close the file and let other processes in."""
        self._file.close()
        self._lock.close()

    def _open(self) -> TextIO:
        try:
            file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {self.path}: {error.strerror}. Choose another workspace."
            ) from error
        size = self.path.stat().st_size
        if size:
            with self.path.open("rb") as tail:
                tail.seek(size - 1)
                if tail.read(1) != b"\n":
                    file.write("\n")
        return file

    def _set_aside(self) -> None:
        number = 1
        while (older := self.path.with_suffix(f".{number}{self.path.suffix}")).exists():
            number += 1
        self.path.rename(older)

    def _acquire_lock(self) -> TextIO:
        lock_path = self.path.with_suffix(".lock")
        try:
            lock = lock_path.open("w")
        except OSError as error:
            raise OutputError(
                f"cannot write in the workspace {self.path.parent}: {error.strerror}. Choose a "
                "folder that is writable (tuning.workspace.path)."
            ) from error
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                raise LpotError(
                    f"another process is tuning in {self.path.parent}; wait for it, or choose "
                    "another workspace (tuning.workspace.path)."
                ) from None
        return lock


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole events of a journal; lines that are cut off are skipped."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "event" in record:
                yield record
