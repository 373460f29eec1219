"""The CPU quota and memory limit that Linux control groups put on this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")


def cpu_quota(*, mount: Path = _MOUNT, membership: Path = _SELF) -> float | None:
    """Return how many CPUs' worth of time this process may use, or None without a limit.

    Args:
        mount: Where the control groups are mounted.
        membership: The file that names the groups of this process.
    """
    quotas = []
    for folder in _folders("cpu", mount=mount, membership=membership):
        words = _words(folder / "cpu.max")  # version 2: "<quota or max> <period>", microseconds
        if not words:  # version 1: one file each, quota -1 meaning none
            words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(words) == 2 and words[0].isdigit() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_limit(*, mount: Path = _MOUNT, membership: Path = _SELF) -> int | None:
    """Return the memory limit of this process in bytes, or None without one.

    Args:
        mount: Where the control groups are mounted.
        membership: The file that names the groups of this process.
    """
    limits = []
    for folder in _folders("memory", mount=mount, membership=membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(word) for word in _words(folder / name) if word.isdigit()]
    return min(limits, default=None)


def _folders(controller: str, *, mount: Path, membership: Path) -> Iterator[Path]:
    """Yield the folder of this process's group and those of the groups around it."""
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        hierarchies = (controllers, controller) if controllers else ("", "unified")
        inside = Path(path.lstrip("/"))
        for hierarchy in dict.fromkeys(hierarchies):
            # In a container the path may be the host's and not exist here; its parents do.
            for folder in (inside, *inside.parents):
                yield mount / hierarchy / folder


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
