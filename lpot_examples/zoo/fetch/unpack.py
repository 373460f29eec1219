"""Unpacking of archives whose makers are not trusted.

Nothing is written outside the target, no link or device is made, and size and number of files are
bounded. The target appears when everything is unpacked.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.workspace import temporary_path

_BLOCK = 1 << 20

# No header of an archive is that long; tarfile reads each of them whole.
_LONGEST_READ = 16 << 20

# Drives, and separators of other systems.
_OTHER_SYSTEMS = re.compile(r"^[A-Za-z]:|[\\\0]")

# The parts of an archive that are no content: at most this much for each file.
_OVERHEAD = 1 << 16

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
)


class ArchiveError(LpotError):
    """An archive is broken, or holds what must not be unpacked."""


@dataclass(frozen=True)
class _Entry:
    """A file of an archive: its name there, its announced size and how to read it.

    A folder has nothing to read.
    """

    name: str
    size: int = 0
    open: Callable[[], IO[bytes]] | None = None


@dataclass
class _Budget:
    """What may still be unpacked."""

    archive: Path
    limit_bytes: int
    limit_files: int
    files: int = 0
    done: int = 0

    def take_files(self, count: int, size: int) -> None:
        """Count files or folders of an announced size together."""
        self.files += count
        if self.files > self.limit_files:
            raise ArchiveError(
                f"{self.archive} holds more than {self.limit_files:,} files; that is not what "
                "was expected. It was not unpacked."
            )
        if size < 0 or self.done + size > self.limit_bytes:
            self._too_large()

    def take_bytes(self, count: int) -> None:
        """Count what was really unpacked, whatever was announced."""
        self.done += count
        if self.done > self.limit_bytes:
            self._too_large()

    def _too_large(self) -> None:
        raise ArchiveError(
            f"{self.archive} unpacks to more than {self.limit_bytes / 1e6:,.0f} MB; that is not "
            "what was expected. It was not unpacked."
        )


def unpack(
    archive: Path,
    folder: Path,
    *,
    limit_bytes: int,
    limit_files: int = 1_000_000,
    replace: bool = False,
    check: Callable[[Path], None] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Unpack a tar, tar.gz or zip archive into a new folder.

    The kind is told by the content, not by the name. Permissions and owners are not taken over.

    Args:
        archive: The file.
        folder: What to make; it must not exist, or be empty.
        limit_bytes: How much it may unpack to.
        limit_files: How many files and folders it may hold.
        replace: Whether a folder that exists is replaced.
        check: Called with the unpacked folder before it takes its place; may raise.
        progress: Called with (bytes unpacked, bytes in all or None).

    Returns:
        ``folder``.

    Raises:
        ArchiveError: If the file is no archive, is broken, encrypted, too large, or holds a path
            outside the folder, an absolute path, a link or a device.
        OutputError: If the folder exists and ``replace`` is not given, or it cannot be written.
    """
    if not replace and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; move it away or choose another folder.")
    budget = _Budget(archive, limit_bytes, limit_files)
    temporary = temporary_path(folder)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with _entries(archive, budget) as (entries, total):
            for entry in entries:
                _extract(entry, temporary, budget, lambda done: _report(progress, done, total))
        if check is not None:
            check(temporary)
        take_place(temporary, folder)
    except _BROKEN as error:
        raise ArchiveError(
            f"{archive} is broken ({_first_line(error)}). Delete it and download it again."
        ) from error
    except OSError as error:
        raise _unwritable(archive, folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _report(
    progress: Callable[[int, int | None], None] | None, done: int, total: int | None
) -> None:
    if progress is not None:
        progress(done, total)


@contextlib.contextmanager
def _entries(archive: Path, budget: _Budget) -> Iterator[tuple[Iterator[_Entry], int | None]]:
    """Yield the files of an archive, checked, and how many bytes they have where it says so."""
    with archive.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        if head.startswith(b"PK"):
            with zipfile.ZipFile(file) as opened:
                infos = opened.infolist()
                total = sum(info.file_size for info in infos)
                budget.take_files(len(infos), total)
                yield _zip_entries(opened, infos, archive), total
        elif head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as content:
                yield _tar_entries(content, budget), None
        elif head[257:262] == b"ustar":
            yield _tar_entries(file, budget), None
        else:
            shown = head[:40].decode("ascii", errors="replace")
            raise ArchiveError(
                f"{archive} must be a tar, tar.gz or zip archive; it begins with {shown!r}. If "
                "that is a page of a server or proxy, delete the file and download it again."
            )


def _zip_entries(
    opened: zipfile.ZipFile, infos: list[zipfile.ZipInfo], archive: Path
) -> Iterator[_Entry]:
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _forbidden(archive, info.filename, _KINDS.get(kind, "a special file"))
        if info.flag_bits & 1:
            raise _forbidden(archive, info.filename, "encrypted")
        if info.is_dir():
            yield _Entry(info.filename)
        else:
            yield _Entry(info.filename, info.file_size, partial(_open_zipped, opened, info))


_KINDS = {stat.S_IFLNK: "a link", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


def _open_zipped(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return opened.open(info)
    except (NotImplementedError, RuntimeError) as error:  # a compression that Python lacks
        raise zipfile.BadZipFile(f"'{info.filename}': {error}") from error


def _tar_entries(content: gzip.GzipFile | IO[bytes], budget: _Budget) -> Iterator[_Entry]:
    bounded = _Bounded(content, budget)
    with tarfile.open(fileobj=bounded, mode="r:") as opened:
        while (info := opened.next()) is not None:
            opened.members = []  # type: ignore[attr-defined]  # it remembers every one
            budget.take_files(1, info.size if info.isreg() else 0)
            if info.isdir():
                yield _Entry(info.name)
            elif info.isreg():
                yield _Entry(info.name, info.size, partial(_open_tarred, opened, info))
            else:
                raise _forbidden(budget.archive, info.name, _kind(info))
        bounded.seek(opened.offset)
        if any(bounded.read(tarfile.BLOCKSIZE)) or bounded.tell() == opened.offset:
            raise tarfile.ReadError("its end is missing")
        while bounded.read(_BLOCK):  # gzip compares its checksum at the very end
            pass


def _open_tarred(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    reader = opened.extractfile(info)
    if reader is None:
        raise tarfile.ReadError(f"'{info.name}' has no content")
    return reader


def _kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link"
    return "a device" if info.isdev() else "a special file"


class _Bounded(io.RawIOBase):
    """The bytes of a tar archive; reading beyond what the budget allows is an error.

    Args:
        content: What to read, uncompressed.
        budget: Whose ``limit_bytes`` and ``limit_files`` bound the length.
    """

    def __init__(self, content: gzip.GzipFile | IO[bytes], budget: _Budget) -> None:
        super().__init__()
        self._content = content
        self._archive = budget.archive
        self._end = budget.limit_bytes + _OVERHEAD * (min(budget.limit_files, 1 << 20) + 1)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; refuses lengths that only a forged header asks for."""
        wanted = -1 if size is None else size
        if not 0 <= wanted <= _LONGEST_READ or self._content.tell() + wanted > self._end:
            raise ArchiveError(
                f"{self._archive} has a header of {wanted:,} bytes; that is not what was "
                "expected. It was not unpacked."
            )
        return self._content.read(wanted)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move within the archive."""
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        """Return the position, uncompressed bytes."""
        return self._content.tell()


def _extract(entry: _Entry, folder: Path, budget: _Budget, report: Callable[[int], None]) -> None:
    target = folder / _inside(entry.name, budget.archive)
    if entry.open is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with entry.open() as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            budget.take_bytes(len(block))
            file.write(block)
            report(budget.done)
        if file.tell() != entry.size:
            raise tarfile.ReadError(f"'{entry.name}' is cut off")


def _inside(name: str, archive: Path) -> Path:
    """Return a member's relative path; anything that could lead elsewhere is an error."""
    path = PurePosixPath(name)
    if path.is_absolute() or _OTHER_SYSTEMS.search(name):
        raise _forbidden(archive, name, "an absolute path or one of another system")
    if ".." in path.parts:
        raise _forbidden(archive, name, "a path outside the folder")
    return Path(*path.parts)


def _forbidden(archive: Path, name: str, what: str) -> ArchiveError:
    return ArchiveError(
        f"{archive} holds '{name}', which is {what}. Such an archive is not unpacked; get it from "
        "a source you trust."
    )


def take_place(temporary: Path, folder: Path) -> None:
    """Move a finished folder to its place; what was there before is removed."""
    if not folder.exists():
        temporary.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(archive: Path, folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot unpack {archive} to {folder}: {error.strerror or error}. Make room or choose "
        "another folder."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
