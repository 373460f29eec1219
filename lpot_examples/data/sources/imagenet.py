"""ImageNet (ILSVRC2012): tars as they are downloaded, or folders.

Of a source these are read: training images in ``ILSVRC2012_img_train.tar``, in ``train/`` as tars
or folders of synsets, or such folders at the top; validation images in ``ILSVRC2012_img_val.tar``
or in ``val/`` or ``validation/`` with their classes in a list (`imagenet_truth`), or there in
folders of synsets; or photographs with ``labels.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lpot_examples.data.class_folders import class_folders
from lpot_examples.data.imagenet import read_labels
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
from lpot_examples.data.sources.imagenet_boxes import Boxes
from lpot_examples.data.sources.imagenet_truth import Truth, kit_labels, read_truth
from lpot_examples.data.sources.labels import SYNSET, Label, LabelMap, read_labels_file
from lpot_examples.data.sources.tars import images_in_tar
from lpot_examples.errors import DataError

CLASSES = 1000

LAYOUT = (
    "Required are ILSVRC2012_img_train.tar or train/ with a folder or tar for each synset, and "
    "ILSVRC2012_img_val.tar or val/ with val.txt; or photographs with labels.txt, one line 'file "
    "index [name]' each."
)

_LISTS = ("synset_words.txt", "synsets.txt", "LOC_synset_mapping.txt", "imagenet_metadata.txt")
_TARS = {TRAIN: "ILSVRC2012_img_train.tar", VALIDATION: "ILSVRC2012_img_val.tar"}
_FOLDERS = {TRAIN: ("train",), VALIDATION: ("validation", "val")}
_SYNSET_TAR = re.compile(r"(n\d{8})\.tar")


@dataclass(frozen=True, slots=True)
class _Item:
    """An image; its class is a synset, or an index from 0."""

    name: str
    content: Content
    synset: str = ""
    index: int | None = None
    text: str = ""


def open_imagenet(
    root: Path,
    *,
    troubles: Troubles,
    splits: Collection[str] = (),
    labels: LabelMap | None = None,
    first: int = 1,
    boxes: Path | None = None,
) -> Source:
    """List the images of ImageNet with their classes.

    Args:
        root: The folder of one of the layouts, or one of the two tars.
        troubles: Told of what cannot be used.
        splits: ``train`` and ``validation``: those to read; all that are there when empty.
        labels: The synsets in the order of their classes. When None, a list beside the images
            (``synset_words.txt``, …), else the sorted synsets, if there are 1000.
        first: The number of the first class. 1 leaves 0 to the background, as the records of
            TensorFlow's tools do.
        boxes: A folder of xml, or the csv of ``process_bounding_boxes.py``.

    Raises:
        DataError: If the layout is another, classes are unknown, or an archive is damaged.
    """
    parts = _parts(root, splits, troubles)
    if not any(parts.values()):
        raise DataError(f"{root} holds no image of ImageNet. {LAYOUT}")
    classes = _classes(parts, root, labels, first)
    drawn = Boxes(boxes, classes, troubles)
    images = {
        split: _ordered(_images(items, classes, drawn, troubles, first=first), items)
        for split, items in parts.items()
    }
    return Source(dataset="imagenet", splits=images, labels=classes)


def _ordered(images: Iterable[AnnotatedImage], items: list[_Item]) -> tuple[AnnotatedImage, ...]:
    """Keep the order of a list; let the classes take turns where each has a place of its own."""
    listed = any(item.index is not None for item in items)
    return tuple(images) if listed else in_turns(images)


def _parts(root: Path, splits: Collection[str], troubles: Troubles) -> dict[str, list[_Item]]:
    if root.is_file():
        return _of_tar(root, troubles)
    if (root / "labels.txt").is_file():
        return {"": _listed(root / "labels.txt", troubles)}
    parts = {}
    for split in (TRAIN, VALIDATION):
        if splits and split not in splits:
            continue
        items = _of_split(root, split, troubles)
        if items is not None:
            parts[split] = items
        elif splits:
            raise DataError(f"{root} holds no {split} images. {LAYOUT}")
    if not parts and not splits:
        parts = {"": [item for path in _synset_places(root) for item in _of_synset(path, root)]}
    return parts


def _of_tar(path: Path, troubles: Troubles) -> dict[str, list[_Item]]:
    files = images_in_tar(path)
    name, _ = next(files, ("", None))
    files.close()
    if _SYNSET_TAR.match(name):
        return {TRAIN: list(_of_train_tar(path))}
    return {VALIDATION: _with_truth(images_in_tar(path), path.parent, troubles)}


def _of_split(root: Path, split: str, troubles: Troubles) -> list[_Item] | None:
    """Return the images of a split; None if it is not there."""
    tar = root / _TARS[split]
    if tar.is_file():
        if split == TRAIN:
            return list(_of_train_tar(tar))
        return _with_truth(images_in_tar(tar), root, troubles)
    folder = next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)
    if folder is None:
        return None
    places = _synset_places(folder)
    if places or split == TRAIN:
        return [item for path in places for item in _of_synset(path, root)]
    files = ((path.name, Content(path=path)) for path in _paths(folder))
    return _with_truth(files, root, troubles)


def _synset_places(folder: Path) -> list[Path]:
    """Return the folders and tars of synsets in a folder, by name."""
    tars = [path for path in sorted(folder.glob("n*.tar")) if _SYNSET_TAR.fullmatch(path.name)]
    return [path for path in class_folders(folder) if SYNSET.fullmatch(path.name)] + tars


def _of_synset(place: Path, root: Path) -> Iterator[_Item]:
    if place.is_dir():
        for path in _paths(place):
            name = path.relative_to(root).as_posix()
            yield _Item(name, Content(path=path), synset=place.name)
    else:
        for name, content in images_in_tar(place):
            yield _Item(name, content, synset=place.stem)


def _paths(folder: Path) -> list[Path]:
    return [sample.path for sample in image_samples(folder)]


def _of_train_tar(path: Path) -> Iterator[_Item]:
    for name, content in images_in_tar(path):
        match = _SYNSET_TAR.match(name)
        if match is None:
            raise DataError(
                f"{path} must hold a tar for each synset, as ILSVRC2012_img_train.tar does; it "
                f"holds {name}."
            )
        yield _Item(PurePosixPath(name).name, content, synset=match[1])


def _with_truth(
    files: Iterable[tuple[str, Content]], root: Path, troubles: Troubles
) -> list[_Item]:
    named = sorted((PurePosixPath(name).name, content) for name, content in _sorted(files))
    truth: Truth = read_truth(root, [name for name, _ in named])
    items = []
    for name, content in named:
        known = truth.classes.get(name)
        if known is None:
            troubles.add("annotation", f"{content} has no class: {truth.origin} does not list it.")
        elif isinstance(known, str):
            items.append(_Item(name, content, synset=known))
        else:
            items.append(_Item(name, content, index=known))
    return items


def _sorted(files: Iterable[tuple[str, Content]]) -> list[tuple[str, Content]]:
    return sorted(files, key=lambda pair: pair[0])


def _listed(file: Path, troubles: Troubles) -> list[_Item]:
    samples = read_labels(
        file, classes=CLASSES, on_error=lambda error: troubles.add("annotation", str(error))
    )
    texts = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3:
            texts[words[0]] = words[2].strip()
    items = []
    for sample in samples:
        name = sample.path.relative_to(file.parent).as_posix()
        synset = SYNSET.match(sample.path.name)
        items.append(
            _Item(
                name,
                Content(path=sample.path),
                synset=synset[0] if synset else "",
                index=sample.label,
                text=texts.get(name, ""),
            )
        )
    return items


def _classes(
    parts: Mapping[str, list[_Item]], root: Path, labels: LabelMap | None, first: int
) -> LabelMap:
    """Return the classes by the list given or found, else by what the images say."""
    folder = root.parent if root.is_file() else root
    listed = labels
    for file in (folder / name for name in _LISTS):
        if listed is None and file.is_file():
            listed = read_labels_file(file, first=first)
    listed = listed or kit_labels(folder, classes=CLASSES, first=first)
    if listed is not None and len(listed) <= CLASSES:
        return listed
    words = {row.synset: row.name for row in listed.labels} if listed else {}
    items = [item for part in parts.values() for item in part]
    synsets = sorted({item.synset for item in items if item.index is None})
    if len(synsets) == CLASSES:
        rows = [Label(first + i, words.get(name, name), name) for i, name in enumerate(synsets)]
        return LabelMap(rows, origin=str(folder))
    if synsets:
        raise DataError(
            f"{root} holds {len(synsets)} synsets, so their positions are not those among "
            f"ImageNet's {CLASSES}. Give the list of all in their order: "
            "--labels=synset_words.txt. (For classes of your own use --dataset=folder.)"
        )
    seen = {item.index: item for item in items if item.index is not None}
    return LabelMap(
        (
            Label(first + index, item.text or words.get(item.synset, "") or str(index), item.synset)
            for index, item in seen.items()
        ),
        origin=str(folder),
    )


def _images(
    items: Iterable[_Item], classes: LabelMap, boxes: Boxes, troubles: Troubles, *, first: int
) -> Iterator[AnnotatedImage]:
    seen: set[str] = set()
    for item in items:
        if item.index is not None:
            label = classes.by_number.get(first + item.index)
        else:
            label = classes.by_synset.get(item.synset)
        if item.name in seen:
            troubles.add("duplicate", f"{item.content} is there twice. Remove one.")
        elif label is None:
            wanted = item.synset if item.index is None else f"index {item.index}"
            troubles.add(
                "class",
                f"{item.content} is of the class {wanted}, which is none of the {len(classes)} of "
                f"{classes.origin}. Add it there.",
            )
        else:
            seen.add(item.name)
            name = PurePosixPath(item.name).name
            yield AnnotatedImage(
                source_id=item.name,
                filename=name,
                content=item.content,
                objects=boxes.of(name, label),
                label=label.number,
                text=label.name,
                synset=label.synset or item.synset,
            )
