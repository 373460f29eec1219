"""The journal: an append-only record of a run, from which it is resumed.

One JSON object per line, flushed to the disk as it happens. A line cut off by a crash is ignored,
so at most the event that was being written is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from lpot_examples.errors import LpotError, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Events that open a session.
_BEGINNINGS = ("started", "resumed")


class Journal:
    """Events of one run in one workspace.

    Args:
        path: The file; its folder must exist.
        identity: What the run is of. A journal of another identity is set aside, not continued.

    Raises:
        OutputError: If it cannot be written.
        LpotError: If another process is writing it.

    Attributes:
        events: Everything recorded, oldest first.
        resumed: Whether an unfinished run is continued.
        set_aside: Where the journal of an unfinished run of something else went, or None.
        seconds_before: What the sessions before this one took, up to their last event.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._scope: dict[str, Any] = {}
        self._started = time.monotonic()
        self._lock = self._acquire_lock()
        try:
            # Through JSON, so that tuples and lists compare equal.
            self._begin(json.loads(json.dumps(identity)))
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, identity: dict[str, Any]) -> None:
        events = self._read()
        finished = any(event["event"] == "finished" for event in events)
        same = bool(events) and events[0].get("identity") == identity
        self.resumed = same and not finished
        if self.path.exists() and not self.resumed:
            older = self._rename()
            self.set_aside = older if events and not finished else None
            events = []
        self.events = events
        self.seconds_before = seconds_spent(events)
        self._file = self._open()
        self.write("resumed" if self.resumed else "started", identity=identity)

    @property
    def sessions(self) -> int:
        """How many times the run was started or continued, this time included."""
        return sum(event["event"] in _BEGINNINGS for event in self.events)

    def narrow(self, **fields: Any) -> None:
        """Add fields to every later event; only events that have them are found from now on.

        What holds only for certain data is thus never taken for a run on other data.
        """
        self._scope |= fields

    def write(self, event: str, **data: Any) -> None:
        """Append an event and bring it to the disk.

        Raises:
            OutputError: If the disk is full or the file has become unwritable.
        """
        at = round(time.monotonic() - self._started, 3)
        record = {"event": event, "at": at, **data, **self._scope}
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
        return next(self.all(event, **fields), None)

    def all(self, event: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Yield the events of that kind with those values, the last first."""
        wanted = {**self._scope, **fields, "event": event}
        for record in reversed(self.events):
            if all(record.get(key) == value for key, value in wanted.items()):
                yield record

    def close(self) -> None:
        """Close the file and let other processes in."""
        # A disk that was full when an event was written is so still; `write` has said it.
        with contextlib.suppress(OSError):
            self._file.close()
        self._lock.close()

    def _read(self) -> list[dict[str, Any]]:
        try:
            return list(read_events(self.path)) if self.path.exists() else []
        except OSError as error:
            raise OutputError(
                f"cannot read the journal {self.path}: {error.strerror}. Choose another workspace."
            ) from error

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

    def _rename(self) -> Path:
        number = 1
        while (older := self.path.with_suffix(f".{number}{self.path.suffix}")).exists():
            number += 1
        try:
            return self.path.rename(older)
        except OSError as error:
            raise OutputError(
                f"cannot set the journal {self.path} aside: {error.strerror}. Choose another "
                "workspace."
            ) from error

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
            except BlockingIOError:
                lock.close()
                raise LpotError(
                    f"another process is tuning in {self.path.parent}; wait for it, or choose "
                    "another workspace (tuning.workspace.path)."
                ) from None
            except OSError as error:
                lock.close()
                raise OutputError(
                    f"cannot lock {lock_path}: {error.strerror}. Choose a workspace on a disk of "
                    "this machine (tuning.workspace.path)."
                ) from error
        return lock


def seconds_spent(events: list[dict[str, Any]]) -> float:
    """Return the time that past sessions took: of each, the time of its last event."""
    total = last = 0.0
    for event in events:
        if event["event"] in _BEGINNINGS:
            total += last
        last = float(event.get("at", 0.0))
    return total + last


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
