"""Has a network of the catalogue ready on the disk: downloads, unpacks or builds it, and checks it.

The network of topology ``x`` is in ``models/x/``, which appears when everything in it is complete.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lpot_examples.errors import ModelError, OutputError
from lpot_examples.workspace import temporary_path
from lpot_examples.zoo.catalogue import find_model
from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.fetch.checksums import record_path
from lpot_examples.zoo.fetch.download import Tell, download
from lpot_examples.zoo.fetch.lock import locked
from lpot_examples.zoo.fetch.partial import Partial
from lpot_examples.zoo.fetch.transfer import Patience, Progress
from lpot_examples.zoo.fetch.unpack import ArchiveError, take_place, unpack
from lpot_examples.zoo.keras_process import build_keras
from lpot_examples.zoo.node_names import node_names

DEFAULT_FOLDER = Path("models")
"""Where networks are kept, unless the user says otherwise."""

# Weights hardly compress; an archive that does much better than that is none of ours.
_LARGEST_RATIO = 8
_MOST_FILES = 10_000

# What must be free beside the download, as a multiple of it, for what it unpacks to.
_ROOM = 1.5

_SHOWN_MEMBERS = 8


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a network is prepared.

    Attributes:
        mirror: An address that takes the place of the original server's; see `fetch.download`.
        force: Whether a network that is there is made anew.
        progress: Told of bytes during the download.
        tell: Told what is being done.
        patience: How long servers are waited for.
    """

    mirror: str | None = None
    force: bool = False
    progress: Progress | None = None
    tell: Tell = lambda _: None
    patience: Patience | None = None


def prepare_model(
    name: str,
    folder: Path = DEFAULT_FOLDER,
    *,
    mirror: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
    tell: Tell | None = None,
    patience: Patience | None = None,
) -> Path:
    """Return a network of the catalogue, and download it first if it is not there.

    Args:
        name: The topology.
        folder: Where networks are kept; made if needed.
        mirror: An address that takes the place of the original server's; the path stays.
        force: Whether to make it anew if it is there.
        progress: Called with (bytes done, bytes in all or None) during the download.
        tell: Called with remarks on what is being done.
        patience: How long servers are waited for.

    Returns:
        The frozen ``.pb``, or the folder of the SavedModel, as `open_model` takes it.

    Raises:
        ModelError: If the catalogue has no such network, or what came is another one.
        DownloadError: If it cannot be downloaded.
        ChecksumError: If the download is not the file that it should be.
        ArchiveError: If the archive is broken or must not be unpacked.
        OutputError: If the folder is full or not writable.
    """
    how = Preparation(
        mirror=mirror,
        force=force,
        progress=progress,
        tell=tell or (lambda _: None),
        patience=patience,
    )
    return prepare(find_model(name), folder, how)


def prepared_model(name: str, folder: Path = DEFAULT_FOLDER) -> Path | None:
    """Return a network of the catalogue if it is there; nothing is downloaded.

    An archive that was unpacked by hand in ``folder`` counts as well.

    Args:
        name: The topology.
        folder: Where networks are kept.

    Returns:
        As for `prepare_model`; None if it is not there or not in the catalogue.
    """
    try:
        model = find_model(name)
    except ModelError:
        return None
    return present(model, folder)


def present(model: ZooModel, folder: Path) -> Path | None:
    """Return where a network is in a folder, or None."""
    places = [folder / model.name / _place(model)]
    if model.member:
        places.append(folder / model.member)
    return next((place for place in places if _is_network(model, place)), None)


def prepare(model: ZooModel, folder: Path, how: Preparation) -> Path:
    """Return a network, and make it first if it is not there; see `prepare_model`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder}: {error.strerror}. Choose another (--model_path)."
        ) from error
    home = folder / model.name

    def waiting() -> None:
        how.tell(f"Another process is preparing {model.name}; waiting…")

    with locked(home, waiting=waiting):
        found = None if how.force else present(model, folder)
        if found is None:
            _sweep(home)
            _make(model, home, how)
            found = home / _place(model)
    return found


def _make(model: ZooModel, home: Path, how: Preparation) -> None:
    """Download a network and make its folder."""
    file = home.parent / model.download_name
    if how.force:
        file.unlink(missing_ok=True)
        Partial(file).discard()
    was_here, was_recorded = file.exists(), record_path(file).exists()
    size = model.size or (model.megabytes or 0) << 20
    how.tell(f"Preparing {model.name} from {model.url}" + (" (a mirror)" if how.mirror else ""))
    download(
        model.url,
        file,
        checksum=model.checksum,
        size=model.size,
        mirror=how.mirror,
        room=int(_ROOM * size),
        progress=how.progress,
        tell=how.tell,
        patience=how.patience,
    )
    try:
        if model.application:
            how.tell(f"Building {model.name} with Keras…")
            _build(model, file, home)
        else:
            how.tell(f"Unpacking {file.name}…")
            _unpack(model, file, home, replace=how.force)
    except (ArchiveError, ModelError):
        if model.checksum is None and not was_here:  # nobody vouches for what came
            file.unlink(missing_ok=True)
            if not was_recorded:
                record_path(file).unlink(missing_ok=True)
        raise
    if not was_here:  # a file that the user put there stays
        file.unlink(missing_ok=True)


def _unpack(model: ZooModel, archive: Path, home: Path, *, replace: bool) -> None:
    unpack(
        archive,
        home,
        limit_bytes=_LARGEST_RATIO * archive.stat().st_size + (64 << 20),
        limit_files=_MOST_FILES,
        replace=replace,
        check=lambda folder: check_network(model, folder, archive.name),
    )


def _build(model: ZooModel, weights: Path, home: Path) -> None:
    temporary = temporary_path(home)
    try:
        temporary.mkdir()
        build_keras(model, weights, temporary / _place(model))
        check_network(model, temporary, weights.name)
        take_place(temporary, home)
    except OSError as error:
        raise OutputError(
            f"cannot write {home}: {error.strerror}. Make room or choose another folder "
            "(--model_path)."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_network(model: ZooModel, folder: Path, origin: str) -> None:
    """Make sure that a folder holds the network that the catalogue describes.

    Args:
        model: What it should be.
        folder: What was unpacked or built.
        origin: The file that it came in, for messages.

    Raises:
        ModelError: If it is another network, or none.
    """
    network = folder / _place(model)
    if not _is_network(model, network):
        held = ", ".join(_members(folder)) or "nothing"
        raise ModelError(
            f"{origin} must hold {_place(model)}, the network of {model.name}; it holds {held}. "
            f"It is the archive of another network. {model.name} comes from {model.url}."
        )
    if model.format == "frozen_graph":
        names = node_names(network)
        missing = [name for name in (*model.inputs, *model.outputs) if name not in names]
        if missing:
            raise ModelError(
                f"{_place(model)} of {origin} must have the nodes "
                f"{', '.join((*model.inputs, *model.outputs))}; it has {len(names):,} nodes, but "
                f"no {', no '.join(missing)}. It is not the network of {model.name}, which comes "
                f"from {model.url}."
            )


def _place(model: ZooModel) -> Path:
    """Return where the network is within its folder."""
    return Path(model.member or f"{model.name}.pb")


def _is_network(model: ZooModel, path: Path) -> bool:
    if model.format == "saved_model":
        return (path / "saved_model.pb").is_file()
    return path.is_file()


def _members(folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files[:_SHOWN_MEMBERS]]
    return [*names, "…"] if len(files) > _SHOWN_MEMBERS else names


def _sweep(home: Path) -> None:
    """Remove what a process that was killed left behind; the lock says that none is at work."""
    pattern = re.compile(rf"\.{re.escape(home.name)}\.\d+\.tmp")
    for path in home.parent.glob(f".{home.name}.*.tmp"):
        if pattern.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
