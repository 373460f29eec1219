"""Writes planned shards, several at once, and goes on where an earlier run stopped.

A shard is a function of its images and options alone, so the number of processes changes no byte.
A shard appears under its name when it is complete; its manifest, in the folder ``.conversion``,
says what it was made from, and a run that would make the same keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lpot_examples.data.records.features import RecordOptions
from lpot_examples.data.records.plan import PlannedShard
from lpot_examples.data.records.pool import run_all
from lpot_examples.data.records.reader import SHARD_NAME
from lpot_examples.data.records.shard import ShardResult, ShardTask, finished, write_shard
from lpot_examples.errors import OutputError
from lpot_examples.workspace import temporary_path

Progress = Callable[[int, int | None], None]
"""Called with (images done, images in all)."""

MANIFESTS = ".conversion"


def write_records(
    shards: Sequence[PlannedShard],
    folder: Path,
    options: RecordOptions,
    *,
    workers: int = 1,
    compression: str = "",
    skip_bad: bool = False,
    progress: Progress = lambda done, total: None,
) -> tuple[ShardResult, ...]:
    """Write shards into a folder; only one process may do so at a time.

    Args:
        shards: What to write.
        folder: Where; it is made.
        options: What goes into the records.
        workers: Processes; with 1 this one writes.
        compression: One of `shard.COMPRESSIONS`.
        skip_bad: Whether what cannot be used is left out and listed.
        progress: Told of the images that are done.

    Returns:
        What each shard holds, in the order of ``shards``.

    Raises:
        DataError: At something that cannot be used, unless ``skip_bad``. Finished shards stay.
        OutputError: If the folder is not writable, the disk is full or a process was killed.
    """
    tasks = [
        ShardTask(
            target=folder / shard.name,
            manifest=folder / MANIFESTS / f"{shard.name}.json",
            images=shard.images,
            options=options,
            compression=compression,
            skip_bad=skip_bad,
        )
        for shard in shards
    ]
    _prepare(folder, {task.target.name for task in tasks})
    results = {index: kept for index, task in enumerate(tasks) if (kept := finished(task))}
    kept_images = sum(len(tasks[index].images) for index in results)
    total = sum(len(task.images) for task in tasks)
    progress(kept_images, total)
    results |= run_all(
        write_shard,
        {index: task for index, task in enumerate(tasks) if index not in results},
        workers=workers,
        report=lambda done: progress(kept_images + done, total),
        name=lambda task: str(task.target),
    )
    return tuple(results[index] for index in range(len(tasks)))


def _prepare(folder: Path, names: set[str]) -> None:
    """Make the folder; remove what runs that were killed left, and sets that are written anew."""
    try:
        (folder / MANIFESTS).mkdir(parents=True, exist_ok=True)
        stems = {_stem(name) for name in names}
        for manifest in (folder / MANIFESTS).glob("*.json"):
            if manifest.stem not in names and _stem(manifest.stem) in stems:
                (folder / manifest.stem).unlink(missing_ok=True)
                manifest.unlink()
        for path in (*folder.glob(".*.tmp"), *(folder / MANIFESTS).glob(".*.tmp")):
            name = path.name[1:].rsplit(".", 2)[0].removesuffix(".json")
            if SHARD_NAME.fullmatch(name):
                path.unlink(missing_ok=True)
        temporary_path(folder / "write-test").touch()
        temporary_path(folder / "write-test").unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror}. Choose a folder that is writable with "
            "--output_dir."
        ) from error


def _stem(name: str) -> str:
    match = SHARD_NAME.fullmatch(name)
    return match["stem"] if match else name
