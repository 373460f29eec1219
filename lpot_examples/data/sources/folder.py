"""Any folder of images: a subfolder for each class, or images without classes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lpot_examples.data.class_folders import class_folders
from lpot_examples.data.listing import image_samples
from lpot_examples.data.sources.annotated import (
    TRAIN,
    VALIDATION,
    AnnotatedImage,
    Content,
    Source,
    Troubles,
    in_turns,
)
from lpot_examples.data.sources.labels import LabelMap, named
from lpot_examples.errors import DataError

LAYOUT = (
    "A folder is required that holds images, or a subfolder of images for each class, or train/ "
    "and val/ with such subfolders."
)

_SPLITS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": "test"}


def open_folder(
    root: Path,
    *,
    troubles: Troubles,
    splits: Collection[str] = (),
    labels: LabelMap | None = None,
    first: int = 0,
) -> Source:
    """List the images of a folder.

    Args:
        root: The folder.
        troubles: Told of what cannot be used.
        splits: Of the folders ``train``, ``validation``, ``val`` and ``test`` those to read; all
            that are there when empty.
        labels: The classes, by the names of the subfolders; those that are there, sorted, when
            None.
        first: The number of the first class when ``labels`` is None.

    Raises:
        DataError: If there is no image.
    """
    folders = _split_folders(root, splits)
    if labels is None:
        names = sorted({path.name for folder in folders.values() for path in class_folders(folder)})
        labels = named(names, first=first, origin=str(root))
    found = {
        split: _images(folder, root=root, labels=labels, troubles=troubles)
        for split, folder in folders.items()
    }
    if not any(found.values()):
        raise DataError(f"{root} holds no image (.jpg, .jpeg, .png, .bmp, .webp). {LAYOUT}")
    return Source(dataset="folder", splits=found, labels=labels)


def _split_folders(root: Path, splits: Collection[str]) -> dict[str, Path]:
    present = {name: root / name for name in _SPLITS if (root / name).is_dir()}
    missing = [split for split in splits if split not in present]
    if missing:
        raise DataError(f"{root / missing[0]} is missing. {LAYOUT}")
    others = [path for path in class_folders(root) if path.name not in _SPLITS]
    if not splits and (not present or others or image_samples(root)):
        return {"": root}
    return {_SPLITS[name]: present[name] for name in splits or present}


def _images(
    folder: Path, *, root: Path, labels: LabelMap, troubles: Troubles
) -> tuple[AnnotatedImage, ...]:
    found = [_image(sample.path, root) for sample in image_samples(folder)]
    subfolders = class_folders(folder)
    for image in found if subfolders else ():
        troubles.add(
            "annotation",
            f"{image.content} is in no class: it lies beside the classes' folders. Move it.",
        )
    if subfolders:
        found = []
    for subfolder in subfolders:
        label = labels.by_name.get(subfolder.name) or labels.by_synset.get(subfolder.name)
        if label is None:
            troubles.add(
                "class",
                f"{subfolder} is none of the {len(labels)} classes of {labels.origin}. Rename it "
                "or name it there.",
            )
            continue
        for sample in image_samples(subfolder):
            found.append(
                _image(sample.path, root, label=label.number, text=label.name, synset=label.synset)
            )
    return in_turns(found)


def _image(
    path: Path, root: Path, *, label: int | None = None, text: str = "", synset: str = ""
) -> AnnotatedImage:
    return AnnotatedImage(
        source_id=path.relative_to(root).as_posix(),
        filename=path.name,
        content=Content(path=path),
        label=label,
        text=text,
        synset=synset,
    )
