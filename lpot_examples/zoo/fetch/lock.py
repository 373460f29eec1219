"""One process at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from lpot_examples.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock_path(target: Path) -> Path:
    """Return the file whose lock guards the making of a file or folder."""
    return target.with_name(f".{target.name}.lock")


@contextlib.contextmanager
def locked(target: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the right to make a file or folder; others wait until it is given back.

    The kernel takes the lock from a process that ends, however it ends.

    Args:
        target: What is to be made; its folder must exist.
        waiting: Called once if another process holds the lock.

    Raises:
        OutputError: If the folder is not writable.
    """
    if fcntl is None:
        yield
        return
    path = lock_path(target)
    handle = _acquire(path, waiting)
    try:
        yield
    finally:
        # Before the lock is given back, so that nobody's new file is removed.
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, waiting: Callable[[], None] | None) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(
                f"cannot write in {path.parent}: {error.strerror}. Choose a folder that is "
                "writable."
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
                waiting = None
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_still(path, handle):
            return handle
        os.close(handle)  # whoever held it has removed the file: lock the one that others see


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
