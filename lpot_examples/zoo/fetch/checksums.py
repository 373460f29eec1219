"""Whether a downloaded file is the one it should be.

A published checksum is compared. Where none is known, the SHA-256 of the first download is recorded
beside the file, in the format of ``sha256sum``, and what is downloaded later must agree.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lpot_examples.errors import LpotError
from lpot_examples.workspace import replacing

_LENGTHS = {"md5": 32, "sha256": 64, "sha384": 96}
_RECORD = re.compile(r"([0-9a-f]{64}) [ *]\S.*\s*")


class ChecksumError(LpotError):
    """A file is not the one that it should be."""


@dataclass(frozen=True)
class Checksum:
    """A digest of a file.

    Attributes:
        algorithm: ``md5``, ``sha256`` or ``sha384``.
        value: Hexadecimal, in lower case.

    Raises:
        ValueError: If the value is no digest of that algorithm.
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        length = _LENGTHS.get(self.algorithm)
        if length is None or not re.fullmatch(f"[0-9a-f]{{{length}}}", self.value):
            raise ValueError(f"'{self.value}' is no digest by {self.algorithm}")

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"

    @classmethod
    def of(cls, path: Path, algorithm: str = "sha256") -> Checksum:
        """Return a file's digest; reads it once."""
        with path.open("rb") as file:
            return cls(algorithm, hashlib.file_digest(file, algorithm).hexdigest())


def record_path(file: Path) -> Path:
    """Return where the checksum of a file is recorded."""
    return file.with_name(f"{file.name}.sha256")


def recorded(file: Path) -> Checksum | None:
    """Return the checksum that was recorded when a file was first downloaded, or None.

    Raises:
        ChecksumError: If the record is damaged.
    """
    record = record_path(file)
    try:
        text = record.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ChecksumError(f"cannot read {record}: {error.strerror}.") from error
    parts = _RECORD.fullmatch(text)
    if parts is None:
        raise ChecksumError(
            f"{record} must hold one line, a SHA-256 and a file name; it holds something else. "
            "Delete it to accept the next download as it comes."
        )
    return Checksum("sha256", parts[1])


def record(file: Path, *, name: str) -> Checksum:
    """Write down the checksum of a file beside where it belongs.

    Args:
        file: The downloaded file.
        name: What it is, or will be, called in the same folder.

    Returns:
        The checksum.
    """
    found = Checksum.of(file)
    with replacing(record_path(file.with_name(name))) as temporary:
        temporary.write_text(f"{found.value}  {name}\n", encoding="utf-8")
    return found


def verify(file: Path, expected: Checksum, *, origin: str, advice: str) -> None:
    """Compare a file with the checksum that it must have.

    Args:
        file: The file.
        expected: What was published or recorded.
        origin: Where ``expected`` comes from, such as ``published by Keras``.
        advice: What the user can do if they differ; a whole sentence.

    Raises:
        ChecksumError: If they differ.
    """
    found = Checksum.of(file, expected.algorithm)
    if found != expected:
        raise ChecksumError(
            f"{file.name} must have the {expected} ({origin}); it has {found.value}. {advice}"
        )
