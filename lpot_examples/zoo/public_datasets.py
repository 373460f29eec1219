"""Where data sets come from: a folder, archives, an address, or the public download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from lpot_examples.data.listing import image_samples
from lpot_examples.errors import DataError
from lpot_examples.zoo.fetch.download import download
from lpot_examples.zoo.fetch.unpack import unpack

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, bytes done, bytes in all or None)."""

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

# What an archive of photographs and their annotations may unpack to, at most.
_LEAST_ROOM, _EXPANSION = 1 << 30, 20


@dataclass(frozen=True)
class Archive:
    """A part of a public data set.

    Attributes:
        url: Its address.
        md5: Its published checksum.
        size: Bytes.
    """

    url: str
    md5: str
    size: int | None = None


_COCO = "http://images.cocodataset.org"

# The checksums are those that torchvision (VOC) and PaddleDetection (COCO) verify too.
PUBLIC: Mapping[str, Mapping[str, Archive]] = MappingProxyType(
    {
        "coco": {
            "annotations": Archive(
                f"{_COCO}/annotations/annotations_trainval2017.zip",
                "f4bbac642086de4f52a3fdda2de5fa2c",
                252907541,
            ),
            "val2017": Archive(
                f"{_COCO}/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80", 815585330
            ),
            "train2017": Archive(
                f"{_COCO}/zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2", 19336861798
            ),
        },
        "voc": {
            "VOC2012": Archive(
                "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                "6cd6e144f989b92b3379bac3b3de84fd",
            )
        },
    }
)

_IMAGENET = (
    "ImageNet cannot be downloaded without an account. 1. Register at https://image-net.org/ and "
    "accept its terms. 2. Download ILSVRC2012_img_val.tar, the development kit "
    "ILSVRC2012_devkit_t12.tar.gz and, where training images are wanted, ILSVRC2012_img_train.tar "
    "into one folder; they need not be unpacked. 3. bash prepare_dataset.sh --dataset=imagenet "
    "--source=that/folder"
)

# Folders that mean something, so that a data set does not begin below them.
_LAYOUTS = {"train", "val", "validation", "test", "images", "annotations", "ImageSets"}


def find_source(
    dataset: str,
    source: str,
    folder: Path,
    *,
    splits: Collection[str] = (),
    mirror: str | None = None,
    progress: Progress = lambda what, done, total: None,
    tell: Callable[[str], None] = lambda remark: None,
) -> Path:
    """Return the folder (or ImageNet's tar) that holds a data set, after making it if need be.

    Args:
        dataset: ``coco``, ``voc``, ``imagenet`` or ``folder``.
        source: A folder, a folder of archives, an archive, the address of one, or empty for the
            public download.
        folder: Where downloads and unpacked archives are kept, and found again by the next run.
        splits: Of COCO's public download those that are wanted; ``val2017`` when empty.
        mirror: A server that takes the place of the original one.
        progress: Told of bytes.
        tell: Told of remarks.

    Raises:
        DataError: If there is no such source, or no public download.
        DownloadError: If something cannot be downloaded.
        ArchiveError: If an archive is broken or holds what must not be unpacked.
        OutputError: If the folder cannot be written.
    """
    if not source:
        return _public(dataset, folder, splits, mirror, progress, tell)
    if urlsplit(source).scheme in ("http", "https"):
        name = Path(unquote(urlsplit(source).path)).name or "download"
        target = folder / f"{_digest(source)}-{name}"
        path = _download(source, target, None, mirror, progress, tell)
    else:
        path = Path(source)
    if not path.exists():
        raise DataError(
            f"--source must be a folder, an archive or an address that exists; {path} does not."
        )
    if dataset == "imagenet":
        return path  # its tars are read as they are
    if path.is_file():
        return _descended(_unpacked(path, folder / _digest(_stamp(path)), progress))
    archives = _archives(path)
    if not archives or any(child.is_dir() for child in path.iterdir()):
        return path
    root = folder / _digest("".join(map(_stamp, archives)))
    places = [_unpacked(archive, root, progress) for archive in archives]
    return root if len(places) > 1 else _descended(places[0])


def _public(
    dataset: str,
    folder: Path,
    splits: Collection[str],
    mirror: str | None,
    progress: Progress,
    tell: Callable[[str], None],
) -> Path:
    if dataset == "imagenet":
        raise DataError(_IMAGENET)
    if dataset not in PUBLIC:
        raise DataError(
            f"--dataset={dataset} needs --source: a folder, an archive or an address of one."
        )
    archives = PUBLIC[dataset]
    wanted = list(archives)
    if dataset == "coco":
        wanted = ["annotations", *(splits or ("val2017",))]
        for split in wanted:
            if split not in archives:
                raise DataError(
                    f"--split must be val2017 or train2017 for the download; it is '{split}'. Give "
                    "other splits with --source."
                )
    root = folder / dataset
    for name in wanted:
        archive = archives[name]
        target = folder / Path(urlsplit(archive.url).path).name
        if not _place(target, root).exists():
            path = _download(archive.url, target, archive, mirror, progress, tell)
            _unpacked(path, root, progress)
    return root


def _download(
    url: str,
    target: Path,
    archive: Archive | None,
    mirror: str | None,
    progress: Progress,
    tell: Callable[[str], None],
) -> Path:
    what = f"Downloading {Path(urlsplit(url).path).name}"
    return download(
        url,
        target,
        md5=archive.md5 if archive else None,
        size=archive.size if archive else None,
        mirror=mirror,
        progress=lambda done, total: progress(what, done, total),
        tell=tell,
    )


def _unpacked(archive: Path, root: Path, progress: Progress) -> Path:
    """Return the folder that an archive was unpacked to, now or by an earlier run."""
    place = _place(archive, root)
    if not place.exists():
        size = archive.stat().st_size
        unpack(
            archive,
            place,
            limit_bytes=_LEAST_ROOM + _EXPANSION * size,
            progress=lambda done, total: progress(f"Unpacking {archive.name}", done, total),
        )
    return place


def _place(archive: Path, root: Path) -> Path:
    name = archive.name
    suffix = next((suffix for suffix in reversed(_SUFFIXES) if name.endswith(suffix)), "")
    return root / (name.removesuffix(suffix) or "archive")


def _archives(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(_SUFFIXES))


def _descended(folder: Path) -> Path:
    """Follow folders that hold one folder and nothing else, as archives often do.

    A folder of images is not entered: its name may be a class.
    """
    while True:
        children = [path for path in folder.iterdir() if not path.name.startswith((".", "__MAC"))]
        if len(children) != 1 or not children[0].is_dir() or children[0].name in _LAYOUTS:
            return folder
        if image_samples(children[0]):
            return folder
        folder = children[0]


def _stamp(path: Path) -> str:
    """Identify a file by place, size and time."""
    state = path.stat()
    return f"{path.resolve()} {state.st_size} {state.st_mtime_ns};"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
