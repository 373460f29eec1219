"""A download that is not complete yet, and what is needed to go on with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from lpot_examples.errors import OutputError
from lpot_examples.workspace import replacing

# Left free on the disk for others.
_RESERVE = 64 << 20


@dataclass(frozen=True)
class Origin:
    """Where the bytes of a partial download are from.

    Attributes:
        url: The address asked for.
        validator: The server's strong entity tag of the file, or else its modification date; empty
            where it gave neither. Without it nobody can tell whether the rest is of the same file.
        total: Bytes of the whole file; None where the server did not say.
    """

    url: str
    validator: str
    total: int | None


class Partial:
    """The file ``<name>.part`` beside where a download will be, and ``<name>.part.json``.

    Args:
        target: Where the complete file goes.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self, url: str) -> Origin | None:
        """Return where the bytes are from, if they can be continued from that address."""
        if not self.size:
            return None
        try:
            origin = Origin(**json.loads(self._notes.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # then the download starts from the beginning
            return None
        return origin if origin.url == url and origin.validator else None

    def begin(self, origin: Origin) -> None:
        """Note where the bytes that follow are from.

        Raises:
            OutputError: If it cannot be written.
        """
        try:
            with replacing(self._notes) as temporary:
                temporary.write_text(json.dumps(asdict(origin)), encoding="utf-8")
        except OSError as error:
            raise self.unwritable(error) from error

    def discard(self) -> None:
        """Forget what is here."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def complete(self, target: Path) -> None:
        """Move the file to its place."""
        self.path.replace(target)
        self._notes.unlink(missing_ok=True)

    def check_room(self, needed: int) -> None:
        """Make sure that the disk can take more.

        Args:
            needed: Bytes to come.

        Raises:
            OutputError: If there is less room.
        """
        free = shutil.disk_usage(self.path.parent).free
        if free < needed + _RESERVE:
            raise OutputError(
                f"{self.path.parent} has {free / 1e6:.0f} MB free; {needed / 1e6:.0f} MB are "
                "needed. Make room or choose another folder."
            )

    def unwritable(self, error: OSError) -> OutputError:
        """Return the error to raise where the file cannot be written."""
        return OutputError(
            f"cannot write {self.path}: {error.strerror}. Make room or choose another folder; the "
            "same command goes on from here."
        )
