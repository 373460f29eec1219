"""Which format a path holds: told by names first, then by the first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lpot_examples.errors import ModelError, nearest

ACCEPTED = (
    "a frozen .pb, a SavedModel folder, a checkpoint (its folder, or the prefix of its .meta, "
    ".index and .data files), or a Keras .keras or .h5 file"
)

_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
# Files beside a saved_model.pb that are no networks by themselves.
_PARTS = frozenset({*_SAVED_MODEL_FILES, "keras_metadata.pb", "fingerprint.pb"})
# What the Object Detection API exports beside a checkpoint: the same network once more.
_EXPORTED_BESIDE = "frozen_inference_graph.pb"
_HDF5 = b"\x89HDF"
_ZIP = b"PK\x03\x04"
# The first byte of a SavedModel message (its schema version), never that of a GraphDef.
_SCHEMA_VERSION = b"\x08"


class Format(StrEnum):
    """The formats that are told apart; all but `ONNX` can be read."""

    FROZEN = "frozen graph"
    CHECKPOINT = "checkpoint"
    SAVED_MODEL = "SavedModel"
    KERAS = "Keras file"
    HDF5 = "Keras HDF5 file"
    ONNX = "ONNX file"


_SUFFIXES = {
    ".keras": Format.KERAS,
    ".h5": Format.HDF5,
    ".hdf5": Format.HDF5,
    ".onnx": Format.ONNX,
    ".pb": Format.FROZEN,
}

# What users have in place of a network, and what to do with it.
_OTHERS = {
    ".tflite": "a TensorFlow Lite file, whose graph cannot be tuned; give the network it is from",
    ".pt": "a PyTorch file; export the network to TensorFlow",
    ".pth": "a PyTorch file; export the network to TensorFlow",
    ".pbtxt": "a graph as text, without weights; give the frozen .pb or the checkpoint",
    ".gz": "an archive; unpack it and give the network that is in it",
    ".tgz": "an archive; unpack it and give the network that is in it",
    ".tar": "an archive; unpack it and give the network that is in it",
    ".zip": "an archive; unpack it and give the network that is in it",
    ".xml": "no TensorFlow network; give the one it was converted from",
    ".json": "no network",
    ".config": "no network",
}


@dataclass(frozen=True)
class Located:
    """Where a network is.

    Attributes:
        format: Its format.
        path: The file; the folder of a SavedModel; the prefix or folder of a checkpoint.
    """

    format: Format
    path: Path


def detect_format(path: str | Path) -> Format:
    """Return the format of what a path holds; see `locate`."""
    return locate(Path(path)).format


def locate(path: Path) -> Located:
    """Find the network that a path means.

    Args:
        path: A file, a folder that holds exactly one network, or the prefix of a checkpoint.

    Raises:
        ModelError: If there is no network, or more than one.
    """
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _in_file(path)
    if checkpoint_files(path):
        return Located(Format.CHECKPOINT, path)
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    raise ModelError(
        f"cannot read the model {path}: No such file or directory.{nearest(path.name, beside)} "
        f"Give {ACCEPTED}."
    )


def checkpoint_files(prefix: Path) -> list[Path]:
    """Return the files of a checkpoint that exist, by name: .data, .index, .meta."""
    if not prefix.name or not prefix.parent.is_dir():
        return []
    return sorted(
        path
        for path in prefix.parent.iterdir()
        if path.name.startswith(f"{prefix.name}.") and _checkpoint_prefix(path) == prefix
    )


def _checkpoint_prefix(path: Path) -> Path | None:
    """Return the prefix of a checkpoint's file, or None for any other file."""
    if path.suffix in (".meta", ".index"):
        return path.with_suffix("")
    name, found, shard = path.name.rpartition(".data-")
    return path.with_name(name) if found and "-of-" in shard else None


def _in_file(path: Path) -> Located:
    prefix = _checkpoint_prefix(path)
    if prefix is not None:
        return Located(Format.CHECKPOINT, prefix)
    if path.name == "checkpoint":
        return Located(Format.CHECKPOINT, path.parent)
    if path.with_name(f"{path.name}.meta").is_file():  # one file of weights, as before 2017
        return Located(Format.CHECKPOINT, path)
    if path.name in _SAVED_MODEL_FILES:
        return Located(Format.SAVED_MODEL, path.parent)
    suffix = path.suffix.lower()
    start = _first_bytes(path)
    if start == _HDF5:
        return Located(Format.HDF5, path)
    if suffix in _OTHERS:
        raise ModelError(f"{path} is {_OTHERS[suffix]}. Accepted are {ACCEPTED}.")
    if suffix in ("", ".ckpt") and not start:
        raise ModelError(f"{path} is empty. Give {ACCEPTED}.")
    if suffix == ".ckpt":
        raise ModelError(
            f"{path} holds weights without a graph: {path.name}.meta is not beside it. Give the "
            "frozen .pb, or the checkpoint together with its .meta file."
        )
    if suffix == ".pb" and start[:1] == _SCHEMA_VERSION:
        raise ModelError(
            f"{path} is the saved_model.pb of a SavedModel under another name; name it "
            "saved_model.pb, with its folder variables beside it, and give the folder."
        )
    if suffix not in _SUFFIXES and start == _ZIP:
        return Located(Format.KERAS, path)
    return Located(_SUFFIXES.get(suffix, Format.FROZEN), path)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}.") from error


def _in_folder(folder: Path) -> Located:
    found = _networks(folder)
    if not found:
        raise ModelError(f"{folder} holds no network{_hint(folder)} Give {ACCEPTED}.")
    if len(found) > 1:
        names = ", ".join(sorted(str(item.path.name or folder) for item in found))
        raise ModelError(
            f"{folder} holds {len(found)} networks, and one is required: {names}. Give the path "
            "of one of them."
        )
    return found[0]


def _networks(folder: Path) -> list[Located]:
    """Return the networks of a folder; all checkpoints in it count as one."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ModelError(f"cannot read the model {folder}: {error.strerror}.") from error
    found = []
    if any(path.name in _SAVED_MODEL_FILES for path in files):
        found.append(Located(Format.SAVED_MODEL, folder))
    checkpoint = any(_checkpoint_prefix(path) or path.name == "checkpoint" for path in files)
    if checkpoint:
        found.append(Located(Format.CHECKPOINT, folder))
    for path in files:
        beside = checkpoint and path.name == _EXPORTED_BESIDE
        if path.suffix in _SUFFIXES and path.name not in _PARTS and not beside:
            found.append(Located(_SUFFIXES[path.suffix], path))
    return found


def _hint(folder: Path) -> str:
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and _networks(path)]
    if inner:
        return f"; its folder {', '.join(path.name for path in inner[:5])} does."
    if (folder / "variables.index").exists() or folder.name == "variables":
        return f"; the SavedModel is the folder above it, {folder.parent}."
    count = sum(1 for _ in folder.iterdir())
    return f" ({count} other files)." if count else ": it is empty."
