"""Where the files of a data set are: the yaml's paths, and ``--dataset_location``."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path

from lpot_examples.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Places:
    """What paths in a yaml are relative to.

    Attributes:
        where: The data set's key, for messages, such as ``dataloader.dataset.COCORecord``.
        base: The folder of the yaml; the current directory comes after it.
        location: ``--dataset_location``, which stands in for the root.
        split: ``train`` or ``validation``: which set of shards of a folder with several is meant.
        parse: The transform that says what records hold; None to look at the first one.
    """

    where: str = "dataset"
    base: Path = field(default_factory=Path)
    location: Path | None = None
    split: str | None = None
    parse: str | None = None

    def root(self, value: str | None, *, key: str = "root", loose: bool = False) -> Path:
        """Return the place that ``--dataset_location`` replaces.

        Where the yaml's path is relative and there is such a file below ``--dataset_location``,
        that is meant.

        Args:
            value: What the yaml says.
            key: The argument's name.
            loose: Whether a pattern, or the beginning of files' names, will do.

        Raises:
            DataError: If neither is given, or nothing is there.
        """
        if self.location is None:
            if value is None:
                raise DataError(
                    f"{self.where}.{key} is required: where the data set is. Add it, or give "
                    "--dataset_location."
                )
            return self.path(value, key=key, loose=loose)
        location = self.location.expanduser()
        if value is not None and not Path(value).expanduser().is_absolute():
            below = location / value
            if _there(below, loose):
                return below
        if not _there(location, loose):
            raise DataError(f"--dataset_location is {location}, which does not exist. Correct it.")
        return location

    def path(self, value: str, *, key: str, loose: bool = False) -> Path:
        """Return a path of the yaml, below its folder or below the current directory.

        Raises:
            DataError: If nothing is there.
        """
        path = Path(value).expanduser()
        tried = [path] if path.is_absolute() else [self.base / path, Path.cwd() / path]
        for one in tried:
            if _there(one, loose):
                return one
        named = " and ".join(dict.fromkeys(str(one) for one in tried))
        raise DataError(
            f"{self.where}.{key} must be where the data set is; {named} "
            f"{'does' if len(set(tried)) == 1 else 'do'} not exist. Correct it, or give "
            "--dataset_location."
        )


def _there(path: Path, loose: bool) -> bool:
    if path.exists():
        return True
    pattern = str(path)
    if not glob.has_magic(pattern):
        pattern = f"{glob.escape(pattern)}-*"
    return loose and bool(glob.glob(pattern))  # noqa: PTH207
